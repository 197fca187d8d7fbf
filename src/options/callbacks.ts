import * as t from "io-ts";
import { kindOf } from "../errors/thrown.ts";
import { looked } from "./codecs.ts";

// What only a program can give: it is called, and no message shows it.

/** Something with these functions, as `name` says it. */
export const withMethod = (name: string, ...methods: readonly string[]): t.Type<object, unknown> =>
  calledAs(name, (has) => methods.every(has));

/** Something with one of these functions, or several. */
const hearing = (...methods: readonly [string, ...string[]]): t.Type<object, unknown> =>
  calledAs(`an observer, with a function ${methods.slice(0, -1).join(", ")} or ${methods.at(-1)}`, (has) =>
    methods.some(has),
  );

function calledAs(
  name: string,
  suits: (has: (method: string) => boolean) => boolean,
): t.Type<object, unknown> {
  const is = (value: unknown): value is object =>
    typeof value === "object" &&
    value !== null &&
    suits((method) => typeof Reflect.get(value, method) === "function");
  return new t.Type<object, unknown, unknown>(
    name,
    is,
    (value, context) =>
      is(value) ? t.success(value) : t.failure(value, context, `found ${kindOf(value)}, expected ${name}`),
    t.identity,
  );
}

/** One of them, or a list. */
export function oneOrMore(item: t.Type<object, unknown>): t.Type<object, unknown> {
  const list = t.readonlyArray(item);
  return new t.Type<object, unknown, unknown>(
    item.name,
    (value): value is object => item.is(value) || list.is(value),
    (value, context) => (Array.isArray(value) ? list : item).validate(value, context),
    t.identity,
  );
}

export const aFunction: t.Type<object, unknown> = looked(
  "a function",
  (value): value is object => typeof value === "function",
);
export const observer: t.Type<object, unknown> = withMethod("an observer, with a function next", "next");
export const consumerObserver = hearing("status", "delivered", "acknowledged", "held");
export const sinkObserver = hearing("status", "published", "buffered", "checkpoint");
export const observable: t.Type<object, unknown> = withMethod("an Observable", "subscribe");
export const scheduler: t.Type<object, unknown> = withMethod("a scheduler of RxJS", "schedule");
