import * as t from "io-ts";
import { attempts, count, duration, factor, redisUri, share, text, timeout } from "../config/codecs.ts";
import { decodeOptions, type NamesOf } from "../config/decodeOptions.ts";
import { group, optional, required, Settings, withDefault } from "../config/settings.ts";
import { sinkTuning } from "../config/sinkTuning.ts";
import type { GroupOptions, ReaderOptions } from "./consumerOptions.ts";

const streams = new t.Type<readonly string[], unknown, unknown>(
  "a stream key or several",
  (_value): _value is readonly string[] => false,
  (value, context) => {
    const keys: unknown[] = Array.isArray(value) ? value : [value];
    return keys.length > 0 && keys.every(text.is) ? t.success(keys) : t.failure(value, context);
  },
  t.identity,
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
  block_ms: withDefault(timeout, 5000, "How long one read waits for an entry"),
};

const entryId = new t.Type<string, unknown, unknown>(
  "an entry ID such as 1700000000000-0, $ for new entries only, or 0-0 for all",
  t.string.is,
  (value, context) =>
    typeof value === "string" && /^(\$|\d+(-\d+)?)$/.test(value)
      ? t.success(value)
      : t.failure(value, context),
  t.identity,
);

const readerSettings = new Settings({
  ...reader,
  from: withDefault(entryId, "$", "After which entry to begin"),
}).inProgram();

const groupSettings = new Settings({
  ...reader,
  group: required(text, "Consumer group"),
  consumer: optional(text, "Consumer"),
  start: withDefault(entryId, "0-0", "After which entry a new group begins"),
  window: withDefault(count, 2000, "Most deliveries that are not settled"),
  window_bytes: withDefault(count, 64 * 1024 * 1024, "Most bytes of deliveries that are not settled"),
  claim_idle_ms: withDefault(timeout, 60_000, "After how long without a sign a delivery is claimed"),
  redelivery: group(
    {
      initial_ms: withDefault(duration, 100, "Delay before a failed delivery comes again"),
      factor: withDefault(factor, 2, "Each delay is this many times the one before"),
      max_ms: withDefault(duration, 60_000, "Longest delay"),
      jitter: withDefault(share, 0.2, "How far a delay strays, as a share of it"),
    },
    "What happens when a handler fails",
  ),
  max_deliveries: withDefault(attempts, 5, "After how many a delivery is a dead letter"),
  dead_letters: optional(
    new Settings({ stream: required(text, "Stream key; in a Cluster in the slot of the stream") }),
    "Where deliveries go that cannot be decoded, or failed too often",
  ),
}).inProgram();

const watchSettings = new Settings({
  ...access,
  group: required(text, "Consumer group"),
  every_ms: withDefault(timeout, 1000, "How often it looks"),
}).inProgram();

const noSettings = { connection: true, status: true, until: true } as const;
const ofReaders = Object.keys({ ...noSettings, codec: true, flow: true } satisfies Record<
  Exclude<NamesOf<ReaderOptions<unknown>>, NamesOf<ReaderTuning>>,
  true
>);
const ofGroups = Object.keys({ ...noSettings, codec: true, metrics: true } satisfies Record<
  Exclude<NamesOf<GroupOptions<unknown>>, NamesOf<GroupTuning>>,
  true
>);

/** The settings of `streamEntries` that have a default, filled in. */
export type ReaderTuning = t.TypeOf<typeof readerSettings>;
/** Those of `groupDeliveries`. */
export type GroupTuning = t.TypeOf<typeof groupSettings>;

/** Those of `groupStatus`. */
export type WatchTuning = t.TypeOf<typeof watchSettings>;

export const watchTuning = (options: object): WatchTuning =>
  decodeOptions(watchSettings, "groupStatus", options, ["connection"]);
export const readerTuning = (options: object): ReaderTuning =>
  decodeOptions(readerSettings, "streamEntries", options, ofReaders);
export const groupTuning = (options: object): GroupTuning =>
  decodeOptions(groupSettings, "groupDeliveries", options, ofGroups);
