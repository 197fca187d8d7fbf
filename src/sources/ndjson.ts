import type { Readable } from "node:stream";
import { isNone, isSome, type Option } from "fp-ts/lib/Option.js";
import {
  concat,
  defer,
  EMPTY,
  filter,
  identity,
  type MonoTypeOperatorFunction,
  map,
  type Observable,
  throwError,
} from "rxjs";
import { timeOf } from "../eventDefaults.ts";
import { type StandardPosition, standardPositions } from "../positions.ts";
import type { EventAccess } from "../sinkOptions.ts";
import type { Source } from "../source.ts";
import { fromReadable } from "./fromReadable.ts";
import { lines } from "./lines.ts";

/** One line of NDJSON: its text, which is published as it is, and what it says. */
export interface NdjsonLine {
  readonly text: string;
  readonly event: Readonly<Record<string, unknown>>;
  /** The event's own `position`, else the line's number, from 1. */
  readonly position: StandardPosition;
}

/** Input that cannot be published. What came before it is. */
export class NdjsonError extends Error {
  override readonly name = "NdjsonError";
  readonly blames = "input";
}

/**
 * Change events from NDJSON text, one JSON object a line; blank lines are left out.
 *
 * @param input - opens the text, from its beginning, once per subscription
 * @param name - how messages call it
 */
export function ndjson(input: () => Readable, name: string): Source<NdjsonLine, StandardPosition> {
  return (from, flow) =>
    defer(() => fromReadable(input(), flow)).pipe(
      lines(),
      map((text, index) => ({ text, number: index + 1 })),
      filter(({ text }) => text.trim() !== ""),
      map(({ text, number }) => parse(text, number, name)),
      goOnAfter(from, name),
    );
}

/** Reads an NDJSON line for a sink: the text goes into the stream untouched. */
export const ndjsonAccess: Required<
  Pick<EventAccess<NdjsonLine, StandardPosition>, "id" | "transaction" | "time" | "encode">
> = {
  id: ({ event }) => (typeof event.id === "string" ? event.id : undefined),
  transaction: ({ event }) => {
    const transaction = event.transaction;
    return isObject(transaction) && typeof transaction.id === "string"
      ? {
          id: transaction.id,
          ...(typeof transaction.last === "boolean" ? { last: transaction.last } : {}),
        }
      : undefined;
  },
  time: ({ event }) => timeOf(event),
  encode: ({ text }) => text,
};

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function parse(text: string, number: number, name: string): NdjsonLine {
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new NdjsonError(
      `${name}, line ${number}: found ${shown(text)}, expected a JSON object (${reason}). The lines before it are published.`,
    );
  }
  if (!isObject(event)) {
    throw new NdjsonError(
      `${name}, line ${number}: found ${shown(text)}, expected a JSON object. The lines before it are published.`,
    );
  }
  const position = event.position ?? number;
  if (typeof position !== "number" && typeof position !== "string") {
    throw new NdjsonError(
      `${name}, line ${number}: found position ${shown(JSON.stringify(position))}, expected a number or a text`,
    );
  }
  return { text, event, position };
}

/** Positions with an order are sorted out by the sink; others are looked for in the input. */
function goOnAfter(from: Option<StandardPosition>, name: string): MonoTypeOperatorFunction<NdjsonLine> {
  if (isNone(from) || isSome(standardPositions.orderOf(from.value))) return identity;
  return (lines$) =>
    defer(() => {
      let isFound = false;
      return concat(
        lines$.pipe(
          filter(({ position }) => {
            if (isFound) return true;
            isFound = position === from.value;
            return false;
          }),
        ),
        defer(
          (): Observable<never> =>
            isFound
              ? EMPTY
              : throwError(
                  () =>
                    new NdjsonError(
                      `${name}: found no event at position ${from.value}, where the stream ends: is it the same input?`,
                    ),
                ),
        ),
      );
    });
}
