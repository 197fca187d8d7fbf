import fc from "fast-check";
import { isLeft } from "fp-ts/lib/Either.js";
import { describe, expect, it } from "vitest";
import { formatProblems, loadConfig } from "../../src/config/loadConfig.ts";

/** All that is wrong, or nothing; it must never throw. */
function problemsOf(text: string, env: Readonly<Record<string, string>> = { A: "v" }): string | undefined {
  const config = loadConfig(text, env);
  return isLeft(config) ? formatProblems(config.left) : undefined;
}

const words = fc.constantFrom(
  ...[
    'sinks:|\n|  |- |{|}|[|]|type: redis|, |config: |id: |a|uri: |redis://h|"redis://u:p@h:1/2"|stream: |s'.split(
      "|",
    ),
  ],
  ...[
    "${source.table}",
    "${A}",
    "${A:-",
    "${A:-x}",
    "$${",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!!set ",
    "? ",
    "null",
  ],
  ...[
    "~",
    "-1",
    ".inf",
    ".nan",
    "1e999",
    "0x1F",
    "'",
    '"',
    "|\n",
    "> ",
    "#c",
    "---\n",
    "...",
    "\t",
    "__proto__: ",
  ],
  ...[
    "constructor: ",
    "toString",
    "source: ",
    "postgres",
    "dsn: ",
    "ndjson",
    "path: ",
    "commit: ",
    "quorum: ",
  ],
  ...[
    "trim: ",
    "max_len: ",
    "fields: ",
    "tls: ",
    "key: ",
    "\u0000",
    "\ud800",
    "\ufeff",
    "é",
    ":",
    "batch: ",
    "retry: ",
  ],
);
const texts = fc.oneof(
  fc.array(words, { maxLength: 60 }).map((some) => some.join("")),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc
    .tuple(fc.nat(110), fc.nat(6), fc.array(words, { maxLength: 4 }))
    .map(([at, gone, some]) => good.slice(0, at) + some.join("") + good.slice(at + gone)),
);
const good =
  "sinks:\n  - type: redis\n    config:\n      id: a\n      uri: redis://app:pw@h:6379\n      stream: s\n";

describe("loadConfig, whatever it is given", () => {
  it("answers with a configuration or with what is wrong", () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(problemsOf(text)).not.toBe("");
      }),
      { numRuns: 3000 },
    );
  });

  it.each(["constructor", "toString", "__proto__", "hasOwnProperty", "valueOf"])(
    "knows no kind of source that is called %s",
    (type) => {
      expect(problemsOf(`source: { type: ${type}, config: {} }\nsinks: []`)).toContain(
        `source.type: found ${type}, expected postgres or ndjson or redis`,
      );
    },
  );

  it.each([
    ["lists in lists", "[".repeat(2500) + "]".repeat(2500)],
    ["objects in objects", `${"{a: ".repeat(2500)}x${"}".repeat(2500)}`],
    ["lists in lists, by lines", `${"- ".repeat(2500)}a`],
    ["objects in objects, by lines", Array.from({ length: 300 }, (_, n) => `${" ".repeat(n)}a:`).join("\n")],
    ["keys in keys", "? ".repeat(2500)],
    ["what is not closed", "[".repeat(100_000)],
  ])("refuses %s that are too deep, also the second time", (_case, text) => {
    for (const time of [1, 2]) expect(problemsOf(text), `time ${time}`).toMatch(/deep in each other/);
  });

  it.each([
    ["characters", `pipeline: ${"?a".repeat(200_000)}`, "400010 characters"],
    ["names", Array.from({ length: 20_000 }, (_, n) => `a${n}: 1`).join("\n"), "more than 10000 values"],
    ["aliases", `a: &a 1\nb:\n${"- *a\n".repeat(20_000)}`, "more than 10000 values"],
  ])("refuses too many %s", (_case, text, found) => {
    expect(problemsOf(text)).toContain(found);
  });

  it("shows no long text, and does not take long to leave it out", () => {
    const long = "?".repeat(100_000);
    const config = `{ type: redis, config: { id: a, stream: s, uri: "redis://${long}", "x${long}": 1 } }`;
    const problems = problemsOf(`sinks: [${config}]`);
    expect(problems).toContain("uri: found a text of 100008 characters, expected a URI");
    expect(problems).toContain("a text of 100001 characters: no such setting");
    expect(problems?.length).toBeLessThan(1000);
  });

  it("refuses aliases that stand for more and more", () => {
    const levels = Array.from("bcdefghi", (name, n) => {
      const below = `*${"abcdefgh"[n]}`;
      return `${name}: &${name} [${Array.from({ length: 9 }, () => below).join(", ")}]`;
    });
    expect(problemsOf(["a: &a [x, x]", ...levels, "sinks: *i"].join("\n"))).toMatch(/alias/);
  });
});
