import type { Pgoutput } from "pg-logical-replication";

type Parser = (text: string) => unknown;

/** JSON has no NaN and no Infinity: they stay text. */
function number(text: string): number | string {
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}

/** Beyond 2^53 a number would lose digits: it stays text. */
function integer(text: string): number | string {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : text;
}

/** `2026-01-31 12:00:00.123456+00` as ISO 8601, with all its digits. */
function timestamp(text: string): string {
  return text.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00");
}

/** By the OIDs of PostgreSQL's built-in types, which never change; every other type stays text. */
const parsers: Readonly<Record<number, Parser>> = {
  16: (text) => text === "t", // bool
  20: integer, // int8
  21: integer, // int2
  23: integer, // int4
  26: integer, // oid
  114: JSON.parse, // json
  700: number, // float4
  701: number, // float8
  1114: timestamp, // timestamp
  1184: timestamp, // timestamptz
  3802: JSON.parse, // jsonb
};

const asText: Parser = (text) => text;

/** Makes the values of a table's columns exact and fit for JSON; see docs/postgres.md. */
export function useExactParsers({ columns }: Pgoutput.MessageRelation): void {
  for (const column of columns) column.parser = parsers[column.typeOid] ?? asText;
}
