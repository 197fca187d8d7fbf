import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { traits } from "../../src/errors/rxaddError.ts";

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
    const [failures = ""] = page.split("## Errors by tag");
    const rows = failures
      .split("\n")
      .filter((line) => line.startsWith("| ") && !/^\| (failure|---) /.test(line));
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

  it("says of each tag of an error whether it is tried again, and who mends it", () => {
    const again = { retryable: "yes", unknown: "yes", permanent: "no", rewind: "from further back" };
    const rows = [...page.matchAll(/^\| `(\w+)` \| ([^|]+) \| (input|server) \|/gm)].map(
      ([, tag, tried, blames]) => `${tag}: ${tried}, ${blames}`,
    );
    expect(rows).toEqual(
      Object.entries(traits).map(([tag, { kind, blames }]) => `${tag}: ${again[kind]}, ${blames}`),
    );
  });
});
