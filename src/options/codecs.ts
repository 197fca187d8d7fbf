import { either } from "fp-ts";
import * as t from "io-ts";
import { longestTimerMs } from "../../operators/after.ts";
import { isEntryId } from "../event/entryId.ts";
import type { Uninferred } from "../event/uninferred.ts";
import { Described, type JsonSchema } from "./described.ts";

/** A codec whose name says what is expected; problems show it. */
function expected<A>(
  name: string,
  codec: t.Type<A, unknown>,
  isValid: (value: A) => boolean,
  schema: JsonSchema,
): Described<A> {
  return new Described(
    schema,
    name,
    (value): value is A => codec.is(value) && isValid(value),
    (value, context) =>
      either.fold(
        () => t.failure<A>(value, context),
        (decoded: A) => (isValid(decoded) ? t.success(decoded) : t.failure(value, context)),
      )(codec.decode(value)),
  );
}

/** Text that the environment fills in: what it will be is not known beforehand. */
export const fromEnvironment: JsonSchema = { type: "string", pattern: "\\$\\{[A-Z_]" };

/** Text of a form, or one that the environment fills in. */
function patterned(pattern: string): JsonSchema {
  return { type: "string", pattern: `${pattern}|${fromEnvironment.pattern}` };
}

const someText: JsonSchema = { type: "string", minLength: 1 };

/** A text that no message may show. */
export const secret: t.Type<string, unknown> = new Described(
  someText,
  "a text",
  t.string.is,
  (value, context) =>
    t.string.is(value) && value !== ""
      ? t.success(value)
      : t.failure(
          value,
          context,
          "found something else, expected a text that is not empty, in quotes if it looks like a number",
        ),
);
export const text: t.Type<string, unknown> = expected("a text", t.string, (value) => value !== "", someText);
export const flag: t.Type<boolean, unknown> = expected("true or false", t.boolean, () => true, {
  type: "boolean",
});
/** A number of a range, both ends included; without a maximum all that are finite. */
function ranged(
  what: string,
  type: "integer" | "number",
  minimum: number,
  maximum = Number.POSITIVE_INFINITY,
): Described<number> {
  const isEndless = maximum === Number.POSITIVE_INFINITY;
  const is = type === "integer" ? Number.isInteger : Number.isFinite;
  return expected(
    `${what} from ${minimum} ${isEndless ? "on" : `to ${maximum}`}`,
    t.number,
    (value) => is(value) && value >= minimum && value <= maximum,
    isEndless ? { type, minimum } : { type, minimum, maximum },
  );
}

export const wholeNumber = ranged("a whole number", "integer", 0);
export const count = ranged("a whole number", "integer", 1);
/** What Redis is told: it takes no more digits. */
export const redisCount = ranged("a whole number", "integer", 1, Number.MAX_SAFE_INTEGER);

export const duration = ranged("a number of milliseconds", "number", 0, longestTimerMs);
/** 0 would give up every connection at once, or, while it opens, never. */
export const timeout = ranged("a number of milliseconds", "number", 1, longestTimerMs);
/** What Redis is told: it takes no fractions. */
export const wholeTimeout = ranged("a whole number of milliseconds", "integer", 1, longestTimerMs);
const someSeconds = ranged("a number of seconds", "number", 0.001, Math.floor(longestTimerMs / 1000));
/** A timeout in seconds, decoded to ms. */
export const seconds: t.Type<number, unknown> = new Described(
  someSeconds.schema,
  someSeconds.name,
  t.number.is,
  (value, context) =>
    either.map((found: number) => Math.round(found * 1000))(someSeconds.validate(value, context)),
);
export const share = ranged("a number", "number", 0, 1);
export const factor = ranged("a number", "number", 1);
export const attempts: t.Type<number, unknown> = expected(
  "a whole number from 0 on, or infinity (.inf in YAML)",
  t.number,
  (value) => (Number.isInteger(value) || value === Number.POSITIVE_INFINITY) && value >= 0,
  // JSON has no infinity, but YAML.
  { type: "number", minimum: 0, anyOf: [{ type: "integer" }, { exclusiveMinimum: Number.MAX_VALUE }] },
);

const textList = t.readonlyArray(text);
export const texts: t.Type<readonly string[], unknown> = new Described(
  { type: "array", items: someText },
  "a list of texts",
  textList.is,
  textList.validate,
);

/** A codec of a list that is not empty. */
export class OneOrMore<A> extends t.Type<readonly [A, ...A[]], unknown, unknown> {
  readonly item: t.Type<A, unknown>;

  constructor(item: t.Type<A, unknown>) {
    const list = t.array(item);
    super(
      "a list of one or more",
      (value): value is readonly [A, ...A[]] => list.is(value) && value.length > 0,
      (value, context) => {
        if (!Array.isArray(value) || value.length === 0) return t.failure(value, context);
        const decoded = list.validate(value, context);
        if (either.isLeft(decoded)) return decoded;
        const [first, ...others] = decoded.right;
        return first === undefined ? t.failure(value, context) : t.success([first, ...others]);
      },
      t.identity,
    );
    this.item = item;
  }
}

const longestUri = 4096;

/** A URI with one of these schemes. What has none may be a bare password, so it is never shown. */
export function uriOf(...schemes: readonly string[]): Described<string> {
  const starts = schemes.map((scheme) => `${scheme}://`);
  const name = `a URI that starts with ${starts.slice(0, -1).join(", ")} or ${starts.at(-1)}`;
  const pattern = new RegExp(`^(${schemes.join("|")})://\\S+$`);
  const schema = patterned(`^(${schemes.join("|")})://`);
  const uri = expected(name, t.string, (value) => value.length <= longestUri && pattern.test(value), schema);
  return new Described(schema, name, uri.is, (value, context) =>
    typeof value === "string" && value !== "" && !value.includes("://")
      ? t.failure(value, context, `found a text without a scheme, expected ${name}`)
      : uri.validate(value, context),
  );
}

export const postgresUri: t.Type<string, unknown> = uriOf("postgres", "postgresql");

/** Whether a stream is computed from the event. */
export function isStreamTemplate(stream: string): boolean {
  return stream.includes("${");
}

/** A text, or a template, in which each `${` begins a path. */
export const template: t.Type<string, unknown> = new Described(
  someText,
  "a text",
  text.is,
  (value, context) =>
    typeof value === "string" && /\$\{\s*(\}|[^}]*$)/.test(value)
      ? t.failure(value, context, `found ${value}, expected after each \${ a path and a }`)
      : text.validate(value, context),
);

const templateTable = t.record(t.string, template);
export const templatesByName: t.Type<Readonly<Record<string, string>>, unknown> = new Described(
  { type: "object", additionalProperties: someText },
  "an object of texts",
  templateTable.is,
  templateTable.validate,
);

export const entryId: t.Type<string, unknown> = expected(
  "an entry ID such as 1700000000000-0",
  t.string,
  isEntryId,
  patterned("^\\d+(-\\d+)?$"),
);

/** One of a few words. */
export function oneOf<Word extends string>(...words: readonly Word[]): Described<Word> {
  const isWord = (value: unknown): value is Word => words.some((word) => word === value);
  const schema = { anyOf: [{ enum: words }, fromEnvironment] };
  return new Described(schema, words.join(" or "), isWord);
}

/** The same, and former names, each of which is read as the word that it has become. */
export function formerly<Word extends string>(
  { schema, name, is, validate }: Described<Word>,
  former: Readonly<Record<string, Uninferred<Word>>>,
): Described<Word> {
  const now = (value: unknown) =>
    typeof value === "string" && Object.hasOwn(former, value) ? former[value] : value;
  const both = { anyOf: [schema, { enum: Object.keys(former), deprecated: true }] };
  return new Described(both, name, is, (value, context) => validate(now(value), context));
}

/** A codec that only looks. */
export function looked<A>(name: string, is: (value: unknown) => value is A): t.Type<A, unknown> {
  return new t.Type<A, unknown, unknown>(
    name,
    is,
    (value, context) => (is(value) ? t.success(value) : t.failure(value, context)),
    t.identity,
  );
}

/** So many, or all. */
export const countOrAll: t.Type<number, unknown> = looked(
  "a whole number from 1 on, or Infinity",
  (value): value is number =>
    value === Number.POSITIVE_INFINITY ||
    (typeof value === "number" && Number.isInteger(value) && value >= 1),
);
