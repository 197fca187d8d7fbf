import { describe, expect, it } from "vitest";
import { expandEnv } from "../../src/config/expandEnv.ts";

describe("expandEnv", () => {
  it.each([
    ["${HOST}", { HOST: "h" }, "h"],
    ["redis://${USER_1}:${PASS}@h", { USER_1: "u", PASS: "p" }, "redis://u:p@h"],
    ["${_X}", { _X: "x" }, "x"],
    ["${EMPTY}", { EMPTY: "" }, ""],
    ["${HOST:-d}", {}, "d"],
    ["${HOST:-d}", { HOST: "" }, "d"],
    ["${HOST:-d}", { HOST: "e" }, "e"],
    ["${HOST:-}", {}, ""],
    ["${URI:-redis://localhost:6379}", {}, "redis://localhost:6379"],
    ["${STREAM:-cdc.${source.table}}", {}, "cdc.${source.table}"],
    ["${STREAM:-cdc.${source.table}}", { STREAM: "orders" }, "orders"],
    ["${A:-${B}}/${B}", { B: "b" }, "b/b"],
    ["${A:-${B:-${C:-x}y}z}!", {}, "xyz!"],
    ["${A:-${B:-${C:-x}y}z}!", { B: "b" }, "bz!"],
    ["${A:-x$${B}y}", {}, "x${B}y"],
    ["}${A}}", { A: "a" }, "}a}"],
    ["${A:-x", {}, "${A:-x"],
    ["$${HOST}", { HOST: "h" }, "${HOST}"],
    ["$HOST ${ HOST } ${HOST", { HOST: "h" }, "$HOST ${ HOST } ${HOST"],
    ["cdc.${source.table}.${host}.${Host}", { host: "h", Host: "h" }, "cdc.${source.table}.${host}.${Host}"],
    ["${HOST}", { HOST: "${PASS}$&$1", PASS: "p" }, "${PASS}$&$1"],
  ])("makes of %s with %j %s", (text, env, value) => {
    expect(expandEnv(text, env)).toEqual({ value, missing: [] });
  });

  it("goes through a text once, however many references are begun in it", () => {
    const text = "${A:-${".repeat(20_000);
    expect(expandEnv(text, {})).toEqual({ value: text, missing: [] });
    const nested = `${"${A:-".repeat(20_000)}x${"}".repeat(20_000)}`;
    expect(expandEnv(nested, {})).toEqual({ value: "x", missing: [] });
  });

  it("names each variable that is not set, and where it is asked for", () => {
    expect(expandEnv({ a: ["${A}", "${B}${C}"], d: "${D:-${E}}", f: "${F:-}" }, { C: "c" }).missing).toEqual([
      { path: ["a", 0], name: "A" },
      { path: ["a", 1], name: "B" },
      { path: ["d"], name: "E" },
    ]);
  });

  it("leaves names, numbers and flags alone", () => {
    const value = { "${A}": 1, b: true, c: null, d: [2.5] };
    expect(expandEnv(value, { A: "a" })).toEqual({ value, missing: [] });
  });
});
