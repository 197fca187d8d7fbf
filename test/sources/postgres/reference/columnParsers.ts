import { types } from "pg";
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

/** Numbers of JSON that may be beyond a double: with many digits, or a large exponent. */
const large = /\d{300}|[eE]\+?\d{3}/;
const stringsAndNumbers = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** A number beyond a double would be null in the stream: it becomes text. */
function json(text: string): unknown {
  if (!large.test(text)) return JSON.parse(text);
  const isBeyond = (token: string) => token[0] !== '"' && !Number.isFinite(Number(token));
  return JSON.parse(
    text.replace(stringsAndNumbers, (token) => (isBeyond(token) ? JSON.stringify(token) : token)),
  );
}

/** `2026-01-31 12:00:00.123456+00` as ISO 8601, with all its digits. */
function timestamp(text: string): string {
  return text.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00");
}

const asText: Parser = (text) => text;
const asBool: Parser = (text) => text === "t";

/** `pg` knows how to take apart a text[]; its parsers for other arrays are lossy. */
const textArray: Parser = types.getTypeParser(1009 as never); // its typings leave out arrays

/** An array's text as an array of what `parse` makes of its elements; arrays may stand in arrays. */
function arrayOf(parse: Parser): Parser {
  const elements = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(elements);
    return typeof value === "string" ? parse(value) : value;
  };
  return (text) => elements(textArray(text));
}

/** Type, its OID and the OID of its array. The OIDs of built-in types never change. */
const builtIn: readonly (readonly [parser: Parser, type: number, array: number])[] = [
  [asBool, 16, 1000], // bool
  [integer, 20, 1016], // int8
  [integer, 21, 1005], // int2
  [integer, 23, 1007], // int4
  [integer, 26, 1028], // oid
  [json, 114, 199], // json
  [json, 3802, 3807], // jsonb
  [number, 700, 1021], // float4
  [number, 701, 1022], // float8
  [timestamp, 1114, 1115], // timestamp
  [timestamp, 1184, 1185], // timestamptz
  [asText, 17, 1001], // bytea
  [asText, 19, 1003], // name
  [asText, 25, 1009], // text
  [asText, 1042, 1014], // char
  [asText, 1043, 1015], // varchar
  [asText, 1082, 1182], // date
  [asText, 1083, 1183], // time
  [asText, 1186, 1187], // interval
  [asText, 1266, 1270], // timetz
  [asText, 1700, 1231], // numeric
  [asText, 2950, 2951], // uuid
  [asText, 869, 1041], // inet
  [asText, 650, 651], // cidr
];

const parsers: ReadonlyMap<number, Parser> = new Map(
  builtIn.flatMap(([parse, type, array]): [number, Parser][] => [
    [type, parse],
    [array, arrayOf(parse)],
  ]),
);

/** Makes the values of a table's columns exact and fit for JSON; see docs/postgres.md. */
export function useExactParsers({ columns }: Pgoutput.MessageRelation): void {
  for (const column of columns) column.parser = parsers.get(column.typeOid) ?? asText;
}
