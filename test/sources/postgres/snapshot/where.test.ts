import { describe, expect, it } from "vitest";
import { conditionsOf } from "../../../../src/sources/postgres/snapshot/where.ts";

describe("the conditions of a backfill", () => {
  it.each([
    ["id > 100", [["id", ">", "100"]]],
    [
      "Status = 'open' AND amount>=-1.5",
      [
        ["status", "=", "open"],
        ["amount", ">=", "-1.5"],
      ],
    ],
    [
      `"It""s" <> 'it''s' and is_new=true`,
      [
        ['It"s', "<>", "it's"],
        ["is_new", "=", "true"],
      ],
    ],
    ["at < '2026-01-01' ", [["at", "<", "2026-01-01"]]],
  ])("reads %j", (where, conditions) => {
    expect(conditionsOf(where)).toEqual(conditions);
  });

  it.each([
    "",
    "id",
    "id > ",
    "id = 1 or 1 = 1",
    "id = 1; DROP TABLE orders",
    "pg_sleep(1) = 1",
    "id = 1 and",
    "id = 'a' 'b'",
    "id in (1)",
  ])("refuses any other SQL: %j", (where) => {
    expect(() => conditionsOf(where)).toThrow(/^where: found ".*", expected conditions such as/);
  });
});
