import { lastValueFrom, map, type Observable, takeUntil, tap, toArray } from "rxjs";
import { printable } from "./printable.ts";
import type { Stdout } from "./stdout.ts";

/** One thing to tell; the names are those in JSON. */
export type StreamsRow = Readonly<Record<string, string | number | undefined | readonly object[]>>;

/** The columns of a table: the name in a row, and its heading. */
export type Columns = readonly (readonly [name: string, heading: string])[];

/** Prints rows: a table for people, which needs all of them first, or each as one JSON line. */
export async function printRows(
  out: Stdout,
  rows$: Observable<StreamsRow>,
  columns: Columns,
  isJson: boolean,
): Promise<void> {
  const text$ = isJson
    ? rows$.pipe(map(jsonLine))
    : rows$.pipe(
        toArray(),
        map((rows) => tableOf(rows, columns)),
      );
  await lastValueFrom(
    text$.pipe(
      takeUntil(out.closed$),
      tap((text) => out.write(text)),
    ),
    { defaultValue: undefined },
  );
}

/** Prints a result: a sentence for people, or one JSON line. */
export function printResult(out: Stdout, row: StreamsRow, sentence: string, isJson: boolean): void {
  out.write(isJson ? jsonLine(row) : `${printable(sentence)}\n`);
}

/** Every name is there in each line, also what is not known. */
function jsonLine(row: StreamsRow): string {
  return `${JSON.stringify(row, (_name, value) => (value === undefined ? null : value))}\n`;
}

function tableOf(rows: readonly StreamsRow[], columns: Columns): string {
  const lines = [
    columns.map(([, heading]) => heading),
    ...rows.map((row) => columns.map(([name]) => cell(row[name]))),
  ];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  const isRight = columns.map(([name]) => rows.some((row) => typeof row[name] === "number"));
  const pad = (text: string, column: number) =>
    isRight[column] ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0);
  return lines.map((line) => `${line.map(pad).join("  ").trimEnd()}\n`).join("");
}

/** A list is told as `worker1: 3, worker2: 1`. */
function cell(value: StreamsRow[string]): string {
  if (value === undefined) return "-";
  if (Array.isArray(value))
    return printable(value.map((item) => Object.values(item).join(": ")).join(", ")) || "-";
  return printable(`${value}`);
}
