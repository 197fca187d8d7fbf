import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { redactUri } from "../../src/errors/redactUri.ts";

describe("redactUri", () => {
  it.each([
    ["redis://localhost:6379/0", "redis://localhost:6379/0"],
    ["redis://:hunter2@localhost:6379", "redis://:***@localhost:6379"],
    ["rediss://user:hunter2@h", "rediss://user:***@h"],
    ["postgres://u:a/b#c@d@h:5432/db", "postgres://u:***@h:5432/db"],
    ["u:hunter2@h", "u:***@h"],
    ["a/b:hunter2@h", "a/b:***@h"],
    ["redis://u:hunter2", "redis://u:***"],
    ["redis://[::1]:6379/0", "redis://[::1]:6379/0"],
    ["redis://u:hunter2@[::1]:6379", "redis://u:***@[::1]:6379"],
    ["redis://h:7000,h:7001", "redis://h:7000,h:7001"],
    ["redis://h?password=hunter2&db=1", "redis://h?password=***&db=1"],
    ["redis://h?pass%77ord=hunter2", "redis://h?pass%77ord=***"],
    ["redis://h?pass=hunter2&db=1", "redis://h?pass=***&db=1"],
    ["redis://h?auth=hunter2", "redis://h?auth=***"],
    ["redis://h#password=hunter2", "redis://h#password=***"],
    [
      "postgres://h/db?sslmode=require&connect_timeout=5",
      "postgres://h/db?sslmode=require&connect_timeout=5",
    ],
  ])("shows %s as %s", (uri, shown) => {
    expect(redactUri(uri)).toBe(shown);
  });

  it("never shows a password, whatever is in it and around it", () => {
    // Marked, so that a short password is not found in the rest by chance.
    const password = fc.string({ unit: "binary" }).map((text) => `<<${text}>>`);
    const scheme = fc.constantFrom("redis://", "rediss://", "postgres://", "");
    const user = fc.string({ unit: "binary" }).filter((text) => !text.includes(":"));
    const host = fc.constantFrom("host", "host:1/0", "[::1]:1", "host?a=b&c=d", "");
    fc.assert(
      fc.property(scheme, user, password, host, (scheme, user, password, host) => {
        expect(redactUri(`${scheme}${user}:${password}@${host}`)).not.toContain("<<");
      }),
    );
  });

  it("never shows a password among the parameters", () => {
    const password = fc.string({ unit: "binary" }).map((text) => `<<${text.replaceAll("&", "")}>>`);
    fc.assert(
      fc.property(
        fc.constantFrom("?", "?a=b&"),
        password,
        fc.constantFrom("", "&c=d"),
        (before, password, after) => {
          expect(redactUri(`redis://host:1/0${before}password=${password}${after}`)).not.toContain("<<");
        },
      ),
    );
  });
});
