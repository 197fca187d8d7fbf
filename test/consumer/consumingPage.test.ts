import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { groupTuning } from "../../src/consumer/groupOptions.ts";

it("docs/consuming.md gives each option of groupDeliveries the default that it has", () => {
  const page = readFileSync(new URL("../../docs/consuming.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| `(\w+)` \| `(.+?)` \|/gm)];
  const onThePage = Object.fromEntries(rows.map(([, name = "", value = ""]) => [name, JSON.parse(value)]));

  const { retry, connectTimeoutMs, sendTimeoutMs, uri, stream, group, ...defaults } = groupTuning({
    uri: "redis://h",
    stream: "s",
    group: "g",
  });

  expect([uri, stream, group]).toEqual(["redis://h", ["s"], "g"]);
  expect([retry.initialMs, connectTimeoutMs, sendTimeoutMs]).toEqual([100, 10_000, 10_000]);
  const known = Object.entries(defaults).filter(([, value]) => value !== undefined);
  expect(onThePage).toEqual(Object.fromEntries(known));
});
