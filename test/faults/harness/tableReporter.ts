import type { Reporter, TestModule } from "vitest/node";
import type { Row } from "./row.ts";

const columns = {
  family: "family",
  fault: "fault",
  times: "times",
  events: "events",
  lost: "lost",
  duplicates: "duplicates",
  inversions: "inversions",
  longestStallMs: "stall ms",
  memoryMiB: "MiB",
  promise: "promised",
} as const satisfies Partial<Record<keyof Row, string>>;

function rowsOf(modules: readonly TestModule[]): Row[] {
  return modules.flatMap((module) =>
    [...module.children.allTests()].flatMap((test) => test.meta().faultRow ?? []),
  );
}

function sum(rows: readonly Row[], count: (row: Row) => number): string {
  return rows.reduce((total, row) => total + count(row), 0).toLocaleString("en");
}

/** Prints what the faults of a run did: one table, a line a kind. */
export class TableReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const rows = rowsOf(modules);
    if (rows.length === 0) return;
    const titles = Object.values(columns);
    const lines = rows.map((row) =>
      (Object.keys(columns) as (keyof typeof columns)[]).map((key) => (row[key] ?? "–").toLocaleString("en")),
    );
    const widths = titles.map((title, column) =>
      Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
    );
    const print = (cells: readonly string[]) =>
      console.log(`| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`);
    print(titles);
    print(widths.map((width) => "-".repeat(width)));
    for (const line of lines) print(line);
    console.log(
      `${rows.length} kinds, ${sum(rows, ({ times }) => times)} faults, ${sum(rows, ({ events }) => events)} events, seed ${rows[0]?.seed}`,
    );
  }
}
