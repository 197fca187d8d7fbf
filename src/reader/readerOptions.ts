import * as t from "io-ts";
import type { Observable, Observer } from "rxjs";
import type { Flow } from "../../operators/flow.ts";
import { isEntryId } from "../event/entryId.ts";
import {
  aFunction,
  consumerObserver,
  observable,
  observer,
  oneOrMore,
  withMethod,
} from "../options/callbacks.ts";
import { count, looked, text, wholeTimeout } from "../options/codecs.ts";
import { decodeOptions, type NamesOf } from "../options/decodeOptions.ts";
import { type RetryOptions, retry } from "../options/retryOptions.ts";
import { optional, required, Settings, withDefault } from "../options/settings.ts";
import type { RedisServer } from "../redis/connect/anotherClient.ts";
import { ownConnection } from "../redis/connect/ownConnection.ts";
import { type ReachOptions, reachSettings, redisUri } from "../redis/connect/serverOptions.ts";
import { connectionSetting, type SinkServer } from "../redis/publish/fakeServer.ts";
import { refuseKeyPrefix } from "../redis/wire/keyPrefix.ts";
import type { ConsumerObserver } from "../telemetry/consumerObserver.ts";
import type { ConsumerStatus } from "../telemetry/consumerStatus.ts";
import type { OneOrMore } from "../telemetry/observers.ts";
import type { Decoding } from "./decodeEntry.ts";
import { isStandardSchema } from "./standardSchema.ts";

/** How every reader of streams reaches them. Durations are ms. */
export interface AccessOptions extends ReachOptions {
  /** A stream key or several, which in a Cluster stand in one slot. */
  readonly stream: string | readonly string[];
  /** Default: 100 ms, doubled up to 10 s, ±20 %, for ever. */
  readonly retry?: RetryOptions;
}

/** What every reader of streams can be told. */
export interface ReadingOptions extends AccessOptions {
  /** Most entries that one read brings. Default 500. */
  readonly count?: number;
  /** How long one read waits for an entry, a whole number. Default 5,000. */
  readonly blockMs?: number;
  /**
   * Told what the consumer does, one or several, each what it has a method for: `statusLogger`, `consumerMetrics` and
   * `health` make such. A reader without a group tells its status alone.
   */
  readonly observers?: OneOrMore<ConsumerObserver>;
  /** Told what the consumer is doing, as observers of RxJS. */
  readonly status?: OneOrMore<Pick<Observer<ConsumerStatus>, "next">>;
  /** Reads no more once it emits or completes; then drains and completes. */
  readonly until?: Observable<unknown>;
}

/** All that `streamEntries` can be told. */
export type StreamEntriesOptions<E> = ReadingOptions &
  Decoding<E> &
  SinkServer & {
    /** After which entry to begin: an ID, `$` for new entries only, or `0-0` for all. Default `$`. */
    readonly from?: string | undefined;
    /** Pauses and resumes: while it says pause no entry comes, also of those that are read. Default: it never pauses. */
    readonly flow?: Observable<Flow>;
  };

/** All that `streamSource` can be told. */
export type StreamSourceOptions = Omit<ReadingOptions, "stream"> & RedisServer & { readonly stream: string };

const streams = new t.Type<readonly string[], unknown, unknown>(
  "a stream key or several",
  (_value): _value is readonly string[] => false,
  (value, context) => {
    const keys: unknown[] = Array.isArray(value) ? value : [value];
    return keys.length > 0 && keys.every(text.is) ? t.success(keys) : t.failure(value, context);
  },
  t.identity,
);

/** The settings of {@link AccessOptions}. */
export const accessSettings = {
  uri: optional(redisUri, "Redis connection URI"),
  connection: optional(ownConnection, "One's own connection, in place of a URI"),
  stream: required(streams, "Stream key, or several"),
  retry,
  ...reachSettings,
};

/** Those of {@link ReadingOptions}. */
export const readingSettings = {
  ...accessSettings,
  count: withDefault(count, 500, "Most entries that one read brings"),
  block_ms: withDefault(wholeTimeout, 5000, "How long one read waits for an entry"),
  observers: optional(oneOrMore(consumerObserver), "Told what the consumer does"),
  status: optional(oneOrMore(observer), "Told what the consumer is doing"),
  until: optional(observable, "Ends it"),
};

const aCodec = looked(
  "an io-ts codec, or a schema of Standard Schema",
  (value): value is object => withMethod("", "decode").is(value) || isStandardSchema(value),
);

/** Whoever reads all fields reads no single one. */
export function decodingProblem({
  field,
  decode,
  decodeFields,
}: {
  readonly [Name in "field" | "decode" | "decodeFields"]?: unknown;
}): string | undefined {
  const other = field !== "event" ? "field" : decode !== undefined ? "decode" : undefined;
  return decodeFields === undefined || other === undefined
    ? undefined
    : `decodeFields: found ${other} as well, expected one of them`;
}

/** Those of {@link Decoding}. */
export const decodingSettings = {
  field: withDefault(text, "event", "Which field holds the event"),
  decode: optional(aFunction, "Reads what that field holds"),
  decode_fields: optional(aFunction, "Makes the event of all fields"),
  codec: optional(aCodec, "What an event has to be"),
};

/** Where reading begins. */
export const startId = looked(
  "an entry ID such as 1700000000000-0, $ for new entries only, or 0-0 for all",
  (value): value is string => typeof value === "string" && (value === "$" || isEntryId(value)),
);

const entriesSettings = new Settings(
  {
    ...readingSettings,
    ...decodingSettings,
    connection: connectionSetting,
    from: withDefault(startId, "$", "After which entry to begin"),
    flow: optional(observable, "Pauses reading and resumes it"),
  },
  decodingProblem,
).inProgram();

/** The settings of a reader that have a default, filled in. */
export type ReaderTuning = Omit<t.TypeOf<typeof entriesSettings>, NamesOf<Decoding<unknown>> | "flow">;

/** Checks the options of `streamEntries`, and fills in the defaults. */
export function entriesTuning<E>(options: StreamEntriesOptions<E>): ReaderTuning {
  const tuning = decodeOptions(entriesSettings, "streamEntries", options, []);
  refuseKeyPrefix("streamEntries", options);
  return tuning;
}

const sourceSettings = new Settings(readingSettings).inProgram();

/** Those of a source that is called `name`, which reads from the oldest entry on. */
export function sourceTuning(name: string, options: StreamSourceOptions): ReaderTuning {
  const tuning = decodeOptions(sourceSettings, name, options, []);
  refuseKeyPrefix(name, options);
  return { ...tuning, from: "0-0" };
}
