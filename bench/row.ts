import type { Histogram } from "node:perf_hooks";

/** One line of a result: what was measured, and the figures. */
export interface Row {
  readonly section: string;
  readonly name: string;
  readonly [figure: string]: string | number | undefined;
}

/** So many digits behind the point are worth telling. */
export function rounded(figure: number, digits = 2): number {
  return Number(figure.toFixed(digits));
}

/** The figures of a histogram of ns. */
export function percentiles(histogram: Histogram): Readonly<Record<string, number>> {
  const ms = (percentile: number) => rounded(histogram.percentile(percentile) / 1e6, 3);
  return { "p50 ms": ms(50), "p99 ms": ms(99), "p99.9 ms": ms(99.9) };
}

function cellOf(figure: Row[string]): string {
  return typeof figure === "number" ? figure.toLocaleString("en") : (figure ?? "–");
}

/** A table as Markdown has it; one for rows of the same figures. */
export function tableOf(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) => name !== "section");
  const lines = [columns, ...rows.map((row) => columns.map((column) => cellOf(row[column])))];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  const [head = "", ...body] = lines.map(
    (line) => `| ${line.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(" | ")} |`,
  );
  return [head, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body].join("\n");
}
