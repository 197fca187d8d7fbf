import { either } from "fp-ts";
import * as t from "io-ts";

/** A codec whose name says what is expected; problems show it. */
function expected<A>(
  name: string,
  codec: t.Type<A, unknown>,
  isValid: (value: A) => boolean,
): t.Type<A, unknown> {
  return new t.Type(
    name,
    (value): value is A => codec.is(value) && isValid(value),
    (value, context) =>
      either.fold(
        () => t.failure<A>(value, context),
        (decoded: A) => (isValid(decoded) ? t.success(decoded) : t.failure(value, context)),
      )(codec.decode(value)),
    t.identity,
  );
}

export const text: t.Type<string, unknown> = expected("a text", t.string, (value) => value !== "");
export const flag: t.Type<boolean, unknown> = expected("true or false", t.boolean, () => true);
export const count: t.Type<number, unknown> = expected(
  "a whole number from 1 on",
  t.number,
  (value) => Number.isInteger(value) && value >= 1,
);
export const duration: t.Type<number, unknown> = expected(
  "a number of milliseconds from 0 on",
  t.number,
  (value) => Number.isFinite(value) && value >= 0,
);
export const share: t.Type<number, unknown> = expected(
  "a number from 0 to 1",
  t.number,
  (value) => value >= 0 && value <= 1,
);
export const factor: t.Type<number, unknown> = expected(
  "a number from 1 on",
  t.number,
  (value) => Number.isFinite(value) && value >= 1,
);
export const attempts: t.Type<number, unknown> = expected(
  "a whole number from 0 on",
  t.number,
  (value) => (Number.isInteger(value) || value === Number.POSITIVE_INFINITY) && value >= 0,
);
export const texts: t.Type<readonly string[], unknown> = expected(
  "a list of texts",
  t.readonlyArray(t.string),
  (values) => values.length > 0,
);

/** The schemes that a sink can connect to. */
export const redisUri: t.Type<string, unknown> = expected(
  "a URI that starts with redis:// or rediss://",
  t.string,
  (value) => /^rediss?:\/\/\S+$/.test(value),
);

export const postgresUri: t.Type<string, unknown> = expected(
  "a URI that starts with postgres:// or postgresql://",
  t.string,
  (value) => /^postgres(ql)?:\/\/\S+$/.test(value),
);

/** One of a few words. */
export function oneOf<Word extends string>(...words: readonly Word[]): t.Type<Word, unknown> {
  const isWord = (value: unknown): value is Word => words.some((word) => word === value);
  return new t.Type(
    words.join(" or "),
    isWord,
    (value, context) => (isWord(value) ? t.success(value) : t.failure(value, context)),
    t.identity,
  );
}
