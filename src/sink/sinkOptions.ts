import type { Observer, SchedulerLike } from "rxjs";
import type { Flow } from "../../operators/flow.ts";
import type { EventAccess } from "../event/eventAccess.ts";
import type { Positions } from "../event/positions.ts";
import type { NamesOf } from "../options/decodeOptions.ts";
import type { RetryOptions } from "../options/retryOptions.ts";
import type { ReachOptions } from "../redis/connect/serverOptions.ts";
import type { DurabilityOptions } from "../redis/publish/durability.ts";
import type { SinkServer } from "../redis/publish/fakeServer.ts";
import type { TrimOptions } from "../redis/publish/trimming.ts";
import type { OneOrMore } from "../telemetry/observers.ts";
import type { SinkObserver } from "../telemetry/sinkObserver.ts";
import type { SinkStatus } from "../telemetry/status.ts";
import type { Tracer } from "../telemetry/tracer.ts";
import type { Envelope } from "./encode/envelope.ts";
import type { SinkTuning } from "./sinkTuning.ts";

/** The settings of a `redisSink` apart from the server. Durations are ms, sizes bytes. */
export interface SinkSettings<T, P> extends ReachOptions {
  /** Names the sink, and with the stream its producer state in Redis. One writer at a time has it, or many as `writers` says. */
  readonly id: string;
  /**
   * The stream key; a template such as `cdc.${source.table}`, filled from the event; or a function of the event. An event
   * that puts a control character into it is a `StreamUnresolved`, and one that puts a brace into a template, which chooses
   * the slot in a Cluster.
   */
  readonly stream: string | ((event: T) => string);
  /**
   * Spreads the stream over so many: `orders:{0}`, `orders:{1}` and so on. Events of one `key` go to one of them, always the
   * same, in their order. Another number later moves keys to other ones.
   */
  readonly partitions?: number | undefined;
  /** What an event is about, such as its row: a template or a function of the event. Default `event.key`. */
  readonly key?: string | ((event: T) => string) | undefined;
  /**
   * What is removed of the stream after each batch, in the same atomic step. `approximate`, the default, removes whole
   * nodes only, which is cheaper. `acknowledged` never removes what a group has not acknowledged. A function decides it for
   * each stream, by its key, and is asked for each batch; undefined removes nothing. What it throws ends the sink with
   * `ConfigurationInvalid`, and so does what is no measure.
   */
  readonly trim?: TrimOptions | ((stream: string) => TrimOptions | undefined) | undefined;
  /**
   * Begins anew although the sink's producer state has been there and is gone while its streams stand, which is a
   * `ProducerStateMissing` at every start else: what the source sends again is doubled. Set it for one start. Default false.
   */
  readonly adopt?: boolean;
  /**
   * Who may publish under the sink's `id`. `one`: whoever has subscribed last, as positions need it; the others end with
   * `Fenced`. `many`: everybody, each by a lane of its own; for events without positions, which are else a
   * `PositionInvalid`. Default: `one` with `replicate`; else the first event decides: with a position `one`, without `many`.
   */
  readonly writers?: "one" | "many" | undefined;
  /** Whether the sink gates the checkpoint where there are several. Default true. */
  readonly required?: boolean;
  readonly event?: EventAccess<T, P>;
  /** Further fields of each entry, by name: templates such as `${id}`; `event.fields` goes first. Default: none. */
  readonly fields?: Readonly<Record<string, string>> | undefined;
  /**
   * What the entry's field `event` holds: the event as it is, or in a form that others read; `flat` puts its columns into fields
   * of their own. Beside `event.encode` or `event.content` it is refused: each says that by itself. Default `native`.
   */
  readonly envelope?: Envelope | "flat" | undefined;
  /** How positions are stored and ordered. Default: as the source of `replicate` says, else numbers, bigints, LSNs, and strings without order. */
  readonly positions?: Positions<P>;
  readonly batch?: {
    /** Default 500. */
    readonly maxEvents?: number;
    /** Default 1 MiB. */
    readonly maxBytes?: number;
    /** Default 0: publish at once when idle, fill batches when busy. */
    readonly lingerMs?: number;
  };
  /** What may wait in memory; the source is paused at half of it. */
  readonly buffer?: {
    /** Default 20,000. */
    readonly maxEvents?: number;
    /** Default 64 MiB. */
    readonly maxBytes?: number;
    /**
     * What follows when a source that cannot pause goes on until the buffer is full. `error`: the sink ends with `BufferOverflow`.
     * `dropNewest` drops what comes then; `dropOldest` what has waited longest, but for the half of the buffer that is on its
     * way. What is dropped is no part of a checkpoint, and told by the status `dropped`. For events without positions: it
     * implies `writers: "many"`. Default `error`.
     */
    readonly overflow?: "error" | "dropOldest" | "dropNewest";
  };
  /** Default: 100 ms, doubled up to 10 s, ±20 %, for ever. */
  readonly retry?: RetryOptions;
  /** Most batches in flight, in a Cluster per stream. Default 4; 1 with `publish: "multi"`. */
  readonly window?: number;
  /**
   * `script`, the default, is one script call a batch; `multi` is for servers where scripts are
   * forbidden, with the same guarantees and slower. `pipeline` is its old name.
   */
  readonly publish?: "script" | "multi" | "pipeline";
  /** In bytes; a larger event is a dead letter, or an `EventTooLarge`. Default 64 MiB. */
  readonly maxEventBytes?: number;
  /**
   * Where an event goes that cannot be encoded, is too large or has no stream, with the reason, in the
   * same atomic step as its batch. Default: such an event is an error, after what came before is published.
   */
  readonly deadLetters?: { readonly stream: string } | undefined;
  /**
   * A batch is safe only when so many replicas have it, which one look waits for `timeoutMs`, default
   * 2,000; with `aof` (Redis 7.2 or later) they and the master have it on disk. Default: the master has it.
   */
  readonly durability?: (Partial<DurabilityOptions> & Pick<DurabilityOptions, "replicas">) | undefined;
  /** A batch that Redis has not acknowledged for so long, retries included, ends the sink with `BatchTimedOut`. Default: none does. */
  readonly batchTimeoutMs?: number | undefined;
  /**
   * When the source has ended, what is left may take so long; then the sink ends with `BatchTimedOut`. Default: as long as
   * Redis is away.
   */
  readonly closeWithinMs?: number | undefined;
  /**
   * Told what the sink does, one or several, each what it has a method for: `statusLogger`, `sinkMetrics` and `health`
   * make such.
   */
  readonly observers?: OneOrMore<SinkObserver>;
  /** Told what the sink is doing, as observers of RxJS. */
  readonly status?: OneOrMore<Pick<Observer<SinkStatus>, "next">>;
  /** Told when to pause the source, and when to resume. */
  readonly flow?: Pick<Observer<Flow>, "next">;
  /** Told what happens. @deprecated give it as one of the `observers` */
  readonly metrics?: SinkObserver;
  /** Given a span for each batch: `trace.getTracer("rxadd")` of OpenTelemetry. Default: nothing is traced. */
  readonly tracer?: Tracer | undefined;
  /** Where time comes from. Default: the clock. */
  readonly scheduler?: SchedulerLike;
}

/** All that `redisSink` can be told. */
export type SinkOptions<T, P> = SinkSettings<T, P> & SinkServer;

type NoSetting = Exclude<
  NamesOf<SinkOptions<unknown, unknown>>,
  NamesOf<SinkTuning> | "id" | "uri" | "connection" | "stream" | "key" | "observers"
>;

/** The names of the options that no file can hold; the compiler keeps the list complete. */
export const programOptions: readonly string[] = Object.keys({
  event: true,
  positions: true,
  status: true,
  flow: true,
  metrics: true,
  tracer: true,
  scheduler: true,
} satisfies Record<NoSetting, true>);
