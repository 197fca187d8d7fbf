import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { withTables } from "../../bench/withTables.ts";

const docs = new URL("../../docs/", import.meta.url);
const page = readFileSync(new URL("performance.md", docs), "utf8");
const rows = readFileSync(new URL("performance.jsonl", docs), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));

describe("docs/performance.md", () => {
  it("has the figures of the run that is kept", () => {
    expect(page).toBe(withTables(page, rows));
  });

  it("shows charts that are there", () => {
    const charts = [...page.matchAll(/\]\((charts\/\S+)\)/g)].map(([, path]) => path ?? "");

    expect(charts.length).toBeGreaterThan(5);
    expect(charts.filter((path) => !existsSync(new URL(path, docs)))).toEqual([]);
  });
});
