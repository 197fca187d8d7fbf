import * as t from "io-ts";
import { kindOf } from "../errors/thrown.ts";
import { isEntryId } from "../event/entryId.ts";
import { count, duration, factor, looked, redisUri, share, text, wholeTimeout } from "../options/codecs.ts";
import { decodeOptions, type NamesOf } from "../options/decodeOptions.ts";
import { group, optional, required, Settings, withDefault } from "../options/settings.ts";
import { longestIsNoShorter, sinkTuning } from "../sink/sinkTuning.ts";
import type { GroupOptions, ReaderOptions } from "./consumerOptions.ts";

/** What a program gives to be called; no message shows it. */
function withMethod(name: string, ...methods: readonly string[]): t.Type<object, unknown> {
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

const aFunction = looked("a function", (value): value is object => typeof value === "function");
const observer = withMethod("an observer, with a function next", "next");
const observable = withMethod("an Observable", "subscribe");
const scheduler = withMethod("a scheduler of RxJS", "schedule");

const someOrAll = looked(
  "a whole number from 1 on, or Infinity",
  (value): value is number =>
    value === Number.POSITIVE_INFINITY ||
    (typeof value === "number" && Number.isInteger(value) && value >= 1),
);

const streams = new t.Type<readonly string[], unknown, unknown>(
  "a stream key or several",
  (_value): _value is readonly string[] => false,
  (value, context) => {
    const keys: unknown[] = Array.isArray(value) ? value : [value];
    return keys.length > 0 && keys.every(text.is) ? t.success(keys) : t.failure(value, context);
  },
  t.identity,
);

const redelivery = group(
  {
    initial_ms: withDefault(duration, 100, "Delay before a failed delivery comes again"),
    factor: withDefault(factor, 2, "Each delay is this many times the one before"),
    max_ms: withDefault(duration, 60_000, "Longest delay"),
    jitter: withDefault(share, 0.2, "How far a delay strays, as a share of it"),
  },
  "What happens when a handler fails",
  longestIsNoShorter,
);

/** How every reader of streams reaches them. */
const access = {
  uri: optional(redisUri, "Redis connection URI"),
  stream: required(streams, "Stream key, or several"),
  retry: sinkTuning.retry,
  tls: sinkTuning.tls,
  sentinel: sinkTuning.sentinel,
  connect_timeout_secs: sinkTuning.connect_timeout_secs,
  send_timeout_secs: sinkTuning.send_timeout_secs,
};

const reader = {
  ...access,
  count: withDefault(count, 500, "Most entries that one read brings"),
  block_ms: withDefault(wholeTimeout, 5000, "How long one read waits for an entry"),
  status: optional(observer, "Told what the consumer is doing"),
  until: optional(observable, "Ends it"),
};

const decoding = {
  decode: optional(aFunction, "Reads what an entry holds"),
  codec: optional(withMethod("an io-ts codec", "decode"), "What an event has to be"),
};

const entryId = looked(
  "an entry ID such as 1700000000000-0, $ for new entries only, or 0-0 for all",
  (value): value is string => typeof value === "string" && (value === "$" || isEntryId(value)),
);

const readerSettings = new Settings({
  ...reader,
  ...decoding,
  from: withDefault(entryId, "$", "After which entry to begin"),
  flow: optional(observable, "Pauses reading and resumes it"),
}).inProgram();

const sourceSettings = new Settings(reader).inProgram();

const groupShape = {
  ...reader,
  ...decoding,
  group: required(text, "Consumer group"),
  consumer: optional(text, "Consumer"),
  start: withDefault(entryId, "0-0", "After which entry a new group begins"),
  window: withDefault(count, 2000, "Most deliveries that are not settled"),
  window_bytes: withDefault(count, 16 * 1024 * 1024, "Most bytes of deliveries that are not settled"),
  claim_idle_ms: withDefault(wholeTimeout, 60_000, "After how long without a sign a delivery is claimed"),
  redelivery,
  max_deliveries: withDefault(someOrAll, 5, "After how many a delivery is a dead letter"),
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
const groupSettings = new Settings(groupShape, ({ stream: streams, deadLetters }) =>
  deadLetters !== undefined && streams.includes(deadLetters.stream)
    ? `deadLetters.stream: found ${deadLetters.stream}, which is read itself, expected another stream`
    : undefined,
).inProgram();

const watchSettings = new Settings({
  ...access,
  group: required(text, "Consumer group"),
  every_ms: withDefault(wholeTimeout, 1000, "How often it looks"),
}).inProgram();

const handlingSettings = new Settings({
  handler: required(aFunction, "Handles an event"),
  concurrency: withDefault(someOrAll, 1, "Most handlers that run at a time"),
  order_by: optional(aFunction, "The key in whose order events are handled"),
}).inProgram();

const deduplicateSettings = new Settings({
  key: required(aFunction, "What tells an event from every other one"),
  window: withDefault(count, 100_000, "How many processed events are remembered"),
  skipped: optional(observer, "Told of each delivery that is not handled"),
}).inProgram();

const memoryGroupSettings = new Settings({
  max_deliveries: withDefault(
    someOrAll,
    Number.POSITIVE_INFINITY,
    "After how many a delivery is a dead letter",
  ),
  redelivery,
  scheduler: optional(scheduler, "For the delays"),
}).inProgram();

/** The settings of `streamEntries` that have a default, filled in. */
export type ReaderTuning = Omit<t.TypeOf<typeof readerSettings>, "decode" | "codec" | "flow">;
/** Those of `groupDeliveries`. */
export type GroupTuning = t.TypeOf<typeof groupSettings>;
/** Those of `groupStatus`. */
export type WatchTuning = t.TypeOf<typeof watchSettings>;
/** Those of `acknowledge`. */
export type HandlingTuning = t.TypeOf<typeof handlingSettings>;
/** Those of `deduplicate`. */
export type DeduplicateTuning = t.TypeOf<typeof deduplicateSettings>;
/** Those of `memoryGroup`. */
export type MemoryGroupTuning = t.TypeOf<typeof memoryGroupSettings>;

/** What no setting can say; the compiler finds what is neither. */
const noSettings = Object.keys({ connection: true } satisfies Record<
  Exclude<
    NamesOf<ReaderOptions<unknown>> | NamesOf<GroupOptions<unknown>>,
    NamesOf<t.TypeOf<typeof readerSettings>> | NamesOf<GroupTuning>
  >,
  true
>);

export const watchTuning = (options: object): WatchTuning =>
  decodeOptions(watchSettings, "groupStatus", options, noSettings);
export const readerTuning = (options: object): ReaderTuning =>
  decodeOptions(readerSettings, "streamEntries", options, noSettings);
export const sourceTuning = (options: object): ReaderTuning => ({
  ...decodeOptions(sourceSettings, "streamSource", options, noSettings),
  from: "0-0",
});
export const groupTuning = (options: object): GroupTuning =>
  decodeOptions(groupSettings, "groupDeliveries", options, noSettings);
export const handlingTuning = (options: object, handler: unknown): HandlingTuning =>
  decodeOptions(handlingSettings, "acknowledge", { ...options, handler }, []);
export const deduplicateTuning = (options: object): DeduplicateTuning =>
  decodeOptions(deduplicateSettings, "deduplicate", options, []);
export const memoryGroupTuning = (options: object): MemoryGroupTuning =>
  decodeOptions(memoryGroupSettings, "memoryGroup", options, []);
