import { lastValueFrom, map, type Observable, takeUntil, tap, toArray } from "rxjs";
import { printable } from "./printable.ts";
import type { Stdout } from "./stdout.ts";

/** Prints rows: a table for people, which needs all of them first, or each as one JSON line; `columns` are their headings by name. */
export async function printRows<Name extends string>(
  out: Stdout,
  rows$: Observable<Readonly<Record<Name, unknown>>>,
  columns: Readonly<Record<Name, string>>,
  isJson: boolean,
): Promise<void> {
  const text$ = isJson
    ? rows$.pipe(map(jsonLine))
    : rows$.pipe(
        toArray(),
        map((rows) => tableOf(rows, Object.entries<string>(columns))),
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
export function printResult(out: Stdout, row: object, sentence: string, isJson: boolean): void {
  out.write(isJson ? jsonLine(row) : `${printable(sentence)}\n`);
}

/** Every name is there in each line, also what is not known. */
function jsonLine(row: object): string {
  return `${JSON.stringify(row, (_name, value) => (value === undefined ? null : value))}\n`;
}

function tableOf(
  rows: readonly object[],
  columns: readonly (readonly [name: string, heading: string])[],
): string {
  const lines = [
    columns.map(([, heading]) => heading),
    ...rows.map((row) => columns.map(([name]) => cell(Reflect.get(row, name)))),
  ];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  const isRight = columns.map(([name]) => rows.some((row) => typeof Reflect.get(row, name) === "number"));
  const pad = (text: string, column: number) =>
    isRight[column] ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0);
  return lines.map((line) => `${line.map(pad).join("  ").trimEnd()}\n`).join("");
}

/** A list is told as `worker1: 3, worker2: 1`. */
function cell(value: unknown): string {
  if (value === undefined) return "-";
  if (Array.isArray(value))
    return printable(value.map((item) => Object.values(item).join(": ")).join(", ")) || "-";
  return printable(`${value}`);
}
