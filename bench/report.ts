import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { charts } from "./charts.ts";
import type { Row } from "./row.ts";
import { withTables } from "./withTables.ts";

// `npm run bench:report`: puts the last results that were kept into the page and its charts.
const docs = new URL("../docs/", import.meta.url);
const path = (name: string) => fileURLToPath(new URL(name, docs));

const rows: readonly Row[] = readFileSync(path("performance.jsonl"), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));

for (const [section, chart] of Object.entries(charts)) {
  writeFileSync(path(`charts/${section}.svg`), chart(rows.filter((row) => row.section === section)));
}

const page = readFileSync(path("performance.md"), "utf8");
writeFileSync(path("performance.md"), withTables(page, rows));
