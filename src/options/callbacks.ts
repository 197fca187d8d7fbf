import * as t from "io-ts";
import { kindOf } from "../errors/thrown.ts";
import { looked } from "./codecs.ts";

// What only a program can give: it is called, and no message shows it.

/** Something with these functions, as `name` says it. */
export function withMethod(name: string, ...methods: readonly string[]): t.Type<object, unknown> {
  const is = (value: unknown): value is object =>
    typeof value === "object" &&
    value !== null &&
    methods.every((method) => typeof Reflect.get(value, method) === "function");
  return new t.Type<object, unknown, unknown>(
    name,
    is,
    (value, context) =>
      is(value) ? t.success(value) : t.failure(value, context, `found ${kindOf(value)}, expected ${name}`),
    t.identity,
  );
}

export const aFunction: t.Type<object, unknown> = looked(
  "a function",
  (value): value is object => typeof value === "function",
);
export const observer: t.Type<object, unknown> = withMethod("an observer, with a function next", "next");
export const observable: t.Type<object, unknown> = withMethod("an Observable", "subscribe");
export const scheduler: t.Type<object, unknown> = withMethod("a scheduler of RxJS", "schedule");
