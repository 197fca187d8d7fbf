import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { entryPoints, reportOf, reportsFolder } from "../../scripts/apiReport.mjs";

describe("what the package exports", () => {
  it.each(Object.keys(entryPoints))("is what its report says, which npm run api writes: %s", (name) => {
    expect(reportOf(name)).toBe(readFileSync(join(reportsFolder, `${name}.api.md`), "utf8"));
  });

  it("has a report for each entry point", () => {
    expect(readdirSync(reportsFolder).sort()).toEqual(
      Object.keys(entryPoints)
        .map((name) => `${name}.api.md`)
        .sort(),
    );
  });
});
