import { filter, map, type OperatorFunction, pipe } from "rxjs";
import type { ChangeEvent, Operation, Row } from "../../event/changeEvent.ts";
import type { Lsn } from "../../event/lsn.ts";
import { text } from "../../options/codecs.ts";
import { decodeOptions } from "../../options/decodeOptions.ts";
import { Settings, withDefault } from "../../options/settings.ts";
import { textIn } from "./textIn.ts";

/** Which column is what, as `source.config.outbox` has it. */
export const outboxSettings = new Settings({
  id: withDefault(text, "id", "The column of an event's `id`"),
  key: withDefault(
    text,
    "aggregate_id",
    "The column of an event's `key`, for `partitions`; it may be missing",
  ),
  payload: withDefault(text, "payload", "The column that is written as the event"),
});

/** Which column of an outbox is what. */
export interface OutboxOptions {
  /** Of an event's `id`. Default `id`. */
  readonly id?: string;
  /** Of an event's `key`, by which `partitions` keep the order; it may be missing. Default `aggregate_id`. */
  readonly key?: string;
  /** What is written as the event. Default `payload`. */
  readonly payload?: string;
}

/** A row of an outbox. As JSON, and so in a stream, it is its `payload` alone. */
export interface OutboxEvent<R = Row> extends ChangeEvent<R, Lsn> {
  /** The row, for templates such as `events.${after.aggregate_type}`. */
  readonly after: R;
  /** What the events are about that keep their order; undefined where the row has no text and no number there. */
  readonly key: string | undefined;
  /** What is written; undefined where the row has no such column. */
  readonly payload: unknown;
  /** The payload; a TypeError that names what the row lacks makes it an `EventNotEncodable`. */
  toJSON(): unknown;
}

const inserted: ReadonlySet<Operation> = new Set(["c", "r", "m"]);

/**
 * Makes events of the rows of an outbox table, or of messages that hold such a row as JSON: what is inserted is an event, of which
 * the payload alone is written. What is updated or deleted is left out, and acknowledged all the same.
 *
 * - **Errors** none of its own. A row without the column of the payload, or a table without that of the id, is an
 *   `EventNotEncodable` of the sink, or a dead letter.
 * - **Misuse** throws `ConfigurationInvalid` at once.
 *
 * @typeParam R - the rows, as of `postgresChanges`
 *
 * @example
 * ```ts
 * replicate({
 *   source: postgresChanges({ connectionString, tables: ["public.outbox"] }),
 *   through: outbox(),
 *   sink: redisSink({ id, uri, stream: "events.${after.aggregate_type}", fields: { id: "${id}", type: "${after.type}" } }),
 * }).subscribe();
 * ```
 */
export function outbox<R = Row>(
  options: OutboxOptions = {},
): OperatorFunction<ChangeEvent<R, Lsn>, OutboxEvent<R>> {
  const columns = decodeOptions(outboxSettings.inProgram(), "outbox", options, []);

  // Each event has it as its own: a copy with another payload is written as that.
  function toJSON(this: OutboxEvent<R>): unknown {
    // Who writes a message may leave the id to us.
    const isComplete = this.op === "m" || Object.hasOwn(this.after as Row, columns.id);
    if (isComplete && this.payload !== undefined) return this.payload;
    const missing = isComplete ? columns.payload : columns.id;
    throw new TypeError(
      `outbox: found no column ${missing}, expected it in each row: say which column it is`,
    );
  }

  function eventOf(change: ChangeEvent<R, Lsn>, after: R): OutboxEvent<R> {
    const row = after as Row;
    const payload = Object.hasOwn(row, columns.payload) ? row[columns.payload] : undefined;
    const id = textIn(row, columns.id) ?? change.id;
    return { ...change, id, before: null, after, key: textIn(row, columns.key), payload, toJSON };
  }

  return pipe(
    filter(({ op, after }: ChangeEvent<R, Lsn>) => inserted.has(op) && after !== null),
    // Without an `after` it did not get here.
    map((change) => eventOf(change, change.after as R)),
  );
}
