import type { Observable, Observer } from "rxjs";
import type { Flow } from "../../operators/flow.ts";
import type { RetryBackoffOptions } from "../../operators/retryBackoff.ts";
import type { Decoding } from "../reader/decodeEntry.ts";
import type { Server } from "../redis/connect/anotherClient.ts";
import type { SentinelCredentials } from "../redis/connect/client.ts";
import type { TlsSettings } from "../redis/connect/tls.ts";
import type { ConsumerReport } from "../telemetry/consumerReport.ts";
import type { ConsumerStatus } from "../telemetry/consumerStatus.ts";

/** How every reader of streams reaches them. Durations are ms. */
interface Access {
  /** A stream key or several, which in a Cluster stand in one slot. */
  readonly stream: string | readonly string[];
  /** Default: 100 ms, doubled up to 10 s, ±20 %, for ever. */
  readonly retry?: Pick<RetryBackoffOptions, "initialMs" | "factor" | "maxMs" | "jitter" | "maxRetries">;
  /** Encrypts, also where the URI does not say `rediss`. */
  readonly tls?: TlsSettings | undefined;
  /** Credentials of the Sentinels themselves; those in the URI are the master's. */
  readonly sentinel?: SentinelCredentials | undefined;
  /** Default 10,000. */
  readonly connectTimeoutMs?: number;
  /** A connection that owes an answer this long is given up and opened again. Default 10,000. */
  readonly sendTimeoutMs?: number;
}

/** What every reader of streams can be told. */
interface ReaderSettings extends Access {
  /** Most entries that one read brings. Default 500. */
  readonly count?: number;
  /** How long one read waits for an entry, a whole number. Default 5,000. */
  readonly blockMs?: number;
  /** Told what the consumer is doing; `statusLogger` logs it. */
  readonly status?: Pick<Observer<ConsumerStatus>, "next">;
  /** Reads no more once it emits or completes; then drains and completes. */
  readonly until?: Observable<unknown>;
}

/** All that `streamEntries` can be told. */
export type ReaderOptions<E> = ReaderSettings &
  Decoding<E> &
  Server & {
    /** After which entry to begin: an ID, `$` for new entries only, or `0-0` for all. Default `$`. */
    readonly from?: string | undefined;
    /** Pauses and resumes: while it says pause no entry comes, also of those that are read. Default: it never pauses. */
    readonly flow?: Observable<Flow>;
  };

/** All that `streamSource` can be told. */
export type StreamSourceOptions = Omit<ReaderSettings, "stream"> & Server & { readonly stream: string };

/** All that `groupDeliveries` can be told. */
export type GroupOptions<E> = ReaderSettings &
  Decoding<E> &
  Server & {
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
    /** When a delivery comes again that failed. Default: 100 ms, doubled up to 60 s, ±20 %. */
    readonly redelivery?: Pick<RetryBackoffOptions, "initialMs" | "factor" | "maxMs" | "jitter">;
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
    /** See `rxadd/metrics`. */
    readonly metrics?: ConsumerReport;
  };

/** All that `groupStatus` can be told. */
export type GroupStatusOptions = Access &
  Server & {
    readonly group: string;
    /** How often it looks, in ms. Default 1,000. */
    readonly everyMs?: number;
  };
