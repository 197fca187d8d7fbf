import { type Row, tableOf } from "./row.ts";

/** A page with the table of each section between its marks. */
export function withTables(page: string, rows: readonly Row[]): string {
  return page.replace(
    /(<!-- table: (\S+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, start, section, end) =>
      `${start}\n${tableOf(rows.filter((row) => row.section === section))}\n\n${end}`,
  );
}
