import type * as t from "io-ts";
import { aFunction, observer, withMethod } from "../options/callbacks.ts";
import { count, countOrAll, duration, flag, looked, text, wholeTimeout } from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { type DelayOptions, redelivery } from "../options/retryOptions.ts";
import { optional, required, Settings, withDefault } from "../options/settings.ts";
import type { Decoding } from "../reader/decodeEntry.ts";
import {
  type AccessOptions,
  accessSettings,
  decodingProblem,
  decodingSettings,
  type ReadingOptions,
  readingSettings,
  startId,
} from "../reader/readerOptions.ts";
import type { RedisServer } from "../redis/connect/anotherClient.ts";
import { connectionSetting, type SinkServer } from "../redis/publish/fakeServer.ts";
import type { ConsumerObserver } from "../telemetry/consumerObserver.ts";

/** All that `groupDeliveries` can be told. */
export type GroupOptions<E> = ReadingOptions &
  Decoding<E> &
  SinkServer & {
    readonly group: string;
    /**
     * Names this consumer in the group; two that run at a time need two names. Default: host and process, and a number
     * where several of one process run.
     */
    readonly consumer?: string | undefined;
    /** Where a group that is not there yet, or was destroyed, begins: an ID, `$`, or `0-0` for all. Default `0-0`. */
    readonly start?: string | undefined;
    /**
     * Most deliveries of all streams handed out and not settled, at least one a stream; a few times what the handlers
     * work on at a time, where they are slow. Default 2,000.
     */
    readonly window?: number;
    /**
     * Most bytes of their fields and values. A read that meets larger entries than those before may go beyond it, by up
     * to `count` entries; one entry may be larger. Decoded they take about twice as much. Default 16 MiB.
     */
    readonly windowBytes?: number;
    /** A delivery of which its consumer gives no sign for so long is claimed by another one. Default 60,000. */
    readonly claimIdleMs?: number | undefined;
    /**
     * A consumer that gives no sign for so long, nor for its own `claimIdleMs`, and holds nothing is taken out of the group, if
     * it is one of rxadd; `Infinity`: none is. Default 3,600,000.
     */
    readonly removeIdleMs?: number;
    /** When a delivery comes again that failed. Default: 100 ms, doubled up to 60 s, ±20 %. */
    readonly redelivery?: DelayOptions;
    /**
     * With `deadLetters`: one whose handler failed so often goes there, >= 1; the deaths of its consumers count from the
     * third on. Default 5.
     */
    readonly maxDeliveries?: number;
    /**
     * Where deliveries go that cannot be decoded, or failed too often, with the reason, in the same atomic step as their
     * acknowledgement; not one of those that are read. Default: what fails comes again for ever, and what cannot be
     * decoded is an error.
     */
    readonly deadLetters?: { readonly stream: string } | undefined;
    /** Told what happens. @deprecated give it as one of the `observers` */
    readonly metrics?: Required<ConsumerObserver>;
  };

/** All that `watchGroup` can be told. */
export type WatchGroupOptions = AccessOptions &
  RedisServer & {
    readonly group: string;
    /** How often it looks, in ms. Default 1,000. */
    readonly everyMs?: number;
  };

const groupShape = {
  ...readingSettings,
  connection: connectionSetting,
  ...decodingSettings,
  group: required(text, "Consumer group"),
  consumer: optional(text, "Consumer"),
  start: withDefault(startId, "0-0", "After which entry a new group begins"),
  window: withDefault(count, 2000, "Most deliveries that are not settled"),
  window_bytes: withDefault(count, 16 * 1024 * 1024, "Most bytes of deliveries that are not settled"),
  claim_idle_ms: withDefault(wholeTimeout, 60_000, "After how long without a sign a delivery is claimed"),
  remove_idle_ms: withDefault(countOrAll, 3_600_000, "After how long without a sign a consumer is taken out"),
  redelivery,
  max_deliveries: withDefault(countOrAll, 5, "After how many a delivery is a dead letter"),
  dead_letters: optional(
    new Settings({ stream: required(text, "Stream key; in a Cluster in the slot of the stream") }),
    "Where deliveries go that cannot be decoded, or failed too often",
  ),
  metrics: optional(
    withMethod("what consumerMetrics makes", "status", "delivered", "acknowledged", "held"),
    "Counts what happens",
  ),
};

/** A dead letter that is read again would be set aside again, without end. */
const groupSettings = new Settings(groupShape, (options) =>
  options.deadLetters !== undefined && options.stream.includes(options.deadLetters.stream)
    ? `deadLetters.stream: found ${options.deadLetters.stream}, which is read itself, expected another stream`
    : decodingProblem(options),
).inProgram();

const watchSettings = new Settings({
  ...accessSettings,
  group: required(text, "Consumer group"),
  every_ms: withDefault(wholeTimeout, 1000, "How often it looks"),
}).inProgram();

const remove = withDefault(flag, false, "Takes entries out of the stream once every group has them");

const handlingSettings = new Settings({
  handler: required(aFunction, "Handles an event"),
  concurrency: withDefault(countOrAll, 1, "Most handlers that run at a time"),
  order_by: optional(aFunction, "The key in whose order events are handled"),
  remove,
}).inProgram();

const batchSettings = new Settings({
  handler: required(aFunction, "Handles events"),
  max_events: withDefault(count, 500, "Most events of a batch"),
  linger_ms: withDefault(duration, 0, "How long a batch waits for more"),
  concurrency: withDefault(countOrAll, 1, "Most handlers that run at a time"),
  remove,
}).inProgram();

const deduplicateSettings = new Settings({
  key: required(aFunction, "What tells an event from every other one"),
  window: withDefault(count, 100_000, "How many processed events are remembered"),
  remove,
  skipped: optional(observer, "Told of each delivery that is not handled"),
}).inProgram();

/** One name, or that of a schema and one; it is quoted. */
const tableName = looked(
  "the name of a table, such as rxadd_inbox or shop.rxadd_inbox",
  (value): value is string => typeof value === "string" && /^[^".\0]+(\.[^".\0]+)?$/.test(value),
);

const transactionSettings = new Settings({
  pool: required(withMethod("a pool of pg, or what is like one", "connect"), "Gives clients"),
  handler: required(aFunction, "Handles events"),
  table: withDefault(tableName, "rxadd_inbox", "Where what is done is marked"),
  keep_ms: withDefault(duration, 86_400_000, "How long a mark is kept at least"),
}).inProgram();

/** The settings of `groupDeliveries` that have a default, filled in. */
export type GroupTuning = t.TypeOf<typeof groupSettings>;
/** Those of `watchGroup`. */
export type WatchTuning = t.TypeOf<typeof watchSettings>;
/** Those of `acknowledge`. */
export type HandlingTuning = t.TypeOf<typeof handlingSettings>;
/** Those of `acknowledgeBatch`. */
export type BatchTuning = t.TypeOf<typeof batchSettings>;
/** Those of `deduplicate`. */
export type DeduplicateTuning = t.TypeOf<typeof deduplicateSettings>;
/** Those of `inTransaction`. */
export type TransactionTuning = t.TypeOf<typeof transactionSettings>;
export const watchTuning = (options: object): WatchTuning =>
  decodeOptions(watchSettings, "watchGroup", options, []);
export const groupTuning = (options: object): GroupTuning =>
  decodeOptions(groupSettings, "groupDeliveries", options, []);
export const handlingTuning = (options: object, handler: unknown): HandlingTuning =>
  decodeOptions(handlingSettings, "acknowledge", { ...options, handler }, []);
export const batchTuning = (options: object, handler: unknown): BatchTuning =>
  decodeOptions(batchSettings, "acknowledgeBatch", { ...options, handler }, []);
export const deduplicateTuning = (options: object): DeduplicateTuning =>
  decodeOptions(deduplicateSettings, "deduplicate", options, []);
export const transactionTuning = (options: object, pool: unknown, handler: unknown): TransactionTuning =>
  decodeOptions(transactionSettings, "inTransaction", { ...options, pool, handler }, []);
