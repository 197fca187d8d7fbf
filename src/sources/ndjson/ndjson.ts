import type { Readable } from "node:stream";
import {
  catchError,
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
import { type RxaddError, sourceError } from "../../errors/rxaddError.ts";
import type { EventAccess } from "../../event/eventAccess.ts";
import { timeOf } from "../../event/eventAccess.ts";
import { hasOrder, type StandardPosition, standardPositions } from "../../event/positions.ts";
import type { Source } from "../../pipeline/source.ts";
import { fromReadable } from "../fromReadable.ts";
import { reaches } from "./lineNumbers.ts";
import { LineError, lines } from "./lines.ts";

/** One line of NDJSON: its text, which is published as it is, and what it says. */
export interface NdjsonLine {
  readonly text: string;
  readonly event: Readonly<Record<string, unknown>>;
  /** The event's own `position`, else the line's number, from 1. */
  readonly position: StandardPosition;
  /** The event says no position: the number of its line stands in. */
  readonly isNumbered: boolean;
}

/**
 * Change events from NDJSON text in UTF-8, one JSON object a line; blank lines are left out.
 *
 * Either all lines have a position of their own, of one kind, or none has; then its number is a line's position.
 * `InputInvalid` at a line that is no event, or whose position cannot be kept as it is.
 *
 * @param input - opens the text, from its beginning, once per subscription
 * @param name - how messages call it
 */
export function ndjson(input: () => Readable, name: string): Source<NdjsonLine, StandardPosition> {
  return (from, flow) =>
    defer(() => {
      const positionOf = positionsOfOneKind(name);
      return fromReadable(input(), flow).pipe(
        lines(flow),
        catchError((error) =>
          throwError(() =>
            error instanceof LineError ? lineError(name, error.line, error.reason, error) : error,
          ),
        ),
        map((text, index) => ({ text, number: index + 1 })),
        filter(({ text }) => text.trim() !== ""),
        map(({ text, number }): NdjsonLine => {
          const event = parse(text, number, name);
          return { text, event, position: positionOf(event, number), isNumbered: event.position == null };
        }),
        reaches(from, name),
        goOnAfter(from, name),
      );
    });
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

function lineError(name: string, line: number, reason: string, cause?: unknown): RxaddError {
  return sourceError(
    "InputInvalid",
    `${name}, line ${line}: ${reason}. The lines before it are published.`,
    cause,
  );
}

/** What a value is; not what it holds, which is the user's data. */
function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function parse(text: string, number: number, name: string): NdjsonLine["event"] {
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch (error) {
    // Of the reason only where it is: the rest of it quotes the text.
    const at = /at position (\d+)/.exec(String(error))?.[1];
    const found = `found no JSON${at === undefined ? "" : ` from character ${Number(at) + 1} on`}`;
    throw lineError(name, number, `${found}, expected a JSON object`);
  }
  if (isObject(event)) return event;
  throw lineError(name, number, `found ${kindOf(event)}, expected a JSON object`);
}

/** Makes the function that takes a line's position, and refuses one of another kind than the first line's. */
function positionsOfOneKind(name: string): (event: NdjsonLine["event"], number: number) => StandardPosition {
  let first: { readonly kind: string; readonly number: number } | undefined;

  return (event, number) => {
    const own = event.position ?? undefined;
    const position = own ?? number;
    if (typeof position !== "number" && typeof position !== "string")
      throw lineError(name, number, `found ${kindOf(own)} as position, expected a number or a text`);
    first ??= { kind: typeof own, number };
    if (typeof own !== first.kind) {
      const [found, expected] = [positionKind(typeof own), positionKind(first.kind)];
      throw lineError(
        name,
        number,
        `found ${found}, expected ${expected}, as line ${first.number} has it: give each line a position of the same kind, or none of them`,
      );
    }
    // JSON may have any number of digits, of which JavaScript keeps some.
    if (typeof position === "number" && !isExact(position)) {
      throw lineError(
        name,
        number,
        `found the position ${position}, expected at most 2^53 - 1, beyond which numbers are rounded: write such positions as texts`,
      );
    }
    return position;
  };
}

const positionKind = (kind: string) => (kind === "undefined" ? "no position" : `a ${kind} as position`);

const isExact = (number: number) =>
  Number.isSafeInteger(number) || (Number.isFinite(number) && !Number.isInteger(number));

/** Positions with an order are sorted out by the sink; others are looked for in the input. */
function goOnAfter(from: StandardPosition | undefined, name: string): MonoTypeOperatorFunction<NdjsonLine> {
  if (from === undefined || hasOrder(standardPositions, from)) return identity;
  return (lines$) =>
    defer(() => {
      let isFound = false;
      return concat(
        lines$.pipe(
          filter(({ position }) => {
            if (isFound) return true;
            isFound = position === from;
            return false;
          }),
        ),
        defer(
          (): Observable<never> =>
            isFound
              ? EMPTY
              : throwError(() =>
                  sourceError(
                    "InputInvalid",
                    `${name}: found no event at position ${from}, where the stream ends: is it the same input?`,
                  ),
                ),
        ),
      );
    });
}
