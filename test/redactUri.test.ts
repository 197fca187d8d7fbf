import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { redactUri } from "../src/redactUri.ts";

describe("redactUri", () => {
  it.each([
    ["redis://localhost:6379/0", "redis://localhost:6379/0"],
    ["redis://:hunter2@localhost:6379", "redis://:***@localhost:6379"],
    ["rediss://user:hunter2@h", "rediss://user:***@h"],
    ["postgres://u:a/b#c@d@h:5432/db", "postgres://u:***@h:5432/db"],
    ["u:hunter2@h", "u:***@h"],
    ["redis://h?password=hunter2&db=1", "redis://h?password=***&db=1"],
  ])("shows %s as %s", (uri, shown) => {
    expect(redactUri(uri)).toBe(shown);
  });

  it("never shows a password, whatever is in it", () => {
    // Marked, so that a short password is not found in the rest by chance.
    const password = fc.string({ unit: "binary" }).map((text) => `<<${text}>>`);
    const scheme = fc.constantFrom("redis", "rediss", "postgres");
    fc.assert(
      fc.property(scheme, password, (scheme, password) => {
        expect(redactUri(`${scheme}://user:${password}@host:1/0`)).not.toContain("<<");
      }),
    );
  });
});
