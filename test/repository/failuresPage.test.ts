import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const page = readFileSync(new URL("../../docs/failures.md", import.meta.url), "utf8");

/** What the page says shows a failure: a test file and a part of the test's name. */
const references = [...page.matchAll(/\]\(\.\.\/(test\/[\w/.]+)\)\s+((?:"[^"]+"(?:,\s+)?)+)/g)].flatMap(
  ([, file = "", names = ""]) =>
    [...names.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => ({ file, name: name.replace(/\s+/g, " ") })),
);

/** The failures of the table, as far as they are not ours alone: set in bold. */
const named = [...page.matchAll(/^\| \*\*([^*]+)\*\* \|/gm)].map(([, name]) => name);

describe("docs/failures.md", () => {
  it.each(references)("names a test that is there: $file: $name", ({ file, name }) => {
    const source = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
    expect(source).toContain(name);
  });

  it("has a test for each failure", () => {
    const rows = page.split("\n").filter((line) => line.startsWith("| ") && !/^\| (failure|---) /.test(line));
    expect(rows.length).toBeGreaterThan(30);
    for (const row of rows) expect(row).toMatch(/\]\(\.\.\/test\/[\w/.]+\) "/);
  });

  it("has the failures that users of such a sink know", () => {
    expect(named).toEqual([
      "Server unavailable",
      "Authentication failure",
      "OOM (Out of Memory)",
      "Stream doesn't exist",
      "Connection timeout",
      "Cluster MOVED/ASK",
      "Replication lag",
      "Max stream length",
      "Network partition",
    ]);
  });
});
