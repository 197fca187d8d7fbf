import { types } from "pg";

/** Makes a value of a column's text. */
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
  const space = text.indexOf(" ");
  const local = space < 0 ? text : `${text.slice(0, space)}T${text.slice(space + 1)}`;
  const sign = text[text.length - 3];
  return sign === "+" || sign === "-" ? `${local}:00` : local;
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

/** Makes a column's value of its text, where that lies. */
export type ReadValue = (buffer: Buffer, start: number, end: number) => unknown;

const asIs: ReadValue = (buffer, start, end) => buffer.toString("utf8", start, end);
const read =
  (parse: Parser): ReadValue =>
  (buffer, start, end) =>
    parse(buffer.toString("utf8", start, end));

/** Most columns are integers: up to 15 digits need no text. */
const readInteger: ReadValue = (buffer, start, end) => {
  if (end - start > 15) return integer(buffer.toString("utf8", start, end));
  const isNegative = buffer[start] === 0x2d;
  let value = 0;
  for (let at = isNegative ? start + 1 : start; at < end; at += 1) {
    value = value * 10 + buffer.readUInt8(at) - 0x30;
  }
  return isNegative ? -value : value;
};

function readerOf(parse: Parser): ReadValue {
  if (parse === asText) return asIs;
  return parse === integer ? readInteger : read(parse);
}

const readers: ReadonlyMap<number, ReadValue> = new Map(
  builtIn.flatMap(([parse, type, array]): [number, ReadValue][] => [
    [type, readerOf(parse)],
    [array, read(arrayOf(parse))],
  ]),
);

/** How the values of a type become exact and fit for JSON; see docs/postgres.md. */
export function valueReader(typeOid: number): ReadValue {
  return readers.get(typeOid) ?? asIs;
}

/** Longer texts are made anew faster than they are compared. */
const mostCompared = 64;

/** What was read from last, and how many buffers that were: a column that kept its own would keep it for as long as its table rests. */
let newest: Buffer | undefined;
let count = 0;

function numberOf(buffer: Buffer): number {
  if (buffer !== newest) count += 1;
  newest = buffer;
  return count;
}

/**
 * The same for one column, row after row: what stands there as in the row before, such as the time of their transaction, is not
 * made anew if both were received together.
 */
export function columnReader(read: ReadValue): ReadValue {
  if (read === readInteger) return read;
  let number = 0;
  let before = 0;
  let length = 0;
  let value: unknown;
  return (buffer, start, end) => {
    const here = numberOf(buffer);
    if (here === number && end - start === length && isAlike(buffer, before, start, length)) return value;
    const made = read(buffer, start, end);
    length = end - start;
    // An object is its row's own.
    const isKept = length <= mostCompared && typeof made !== "object";
    number = isKept ? here : 0;
    before = start;
    value = isKept ? made : undefined;
    return made;
  };
}

/** From the end: what differs a little mostly does there. */
function isAlike(buffer: Buffer, one: number, other: number, length: number): boolean {
  for (let at = length - 1; at >= 0; at -= 1) if (buffer[one + at] !== buffer[other + at]) return false;
  return true;
}
