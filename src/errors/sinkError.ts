import type { Option } from "fp-ts/lib/Option.js";
import { causeWithoutSecrets, withoutSecrets } from "./withoutSecrets.ts";

/**
 * What an error means for a batch:
 * - `retryable`: Redis did not apply it; it is sent again after a while.
 * - `unknown`: Redis may have applied it; it is sent again under the same sequence, which is safe.
 * - `permanent`: sending it again cannot help; the Observable ends.
 * - `rewind`: Redis has lost acknowledged batches; the source must go back.
 */
export type SinkErrorKind = "retryable" | "unknown" | "permanent" | "rewind";

/** Every error of a sink, and what sending the batch again would do. The one place that decides it. */
const kinds = {
  Unreachable: "retryable",
  OutOfMemory: "retryable",
  ReadOnlyReplica: "retryable",
  Loading: "retryable",
  Busy: "retryable",
  NotEnoughReplicas: "retryable",
  PersistenceFailing: "retryable",
  ClusterDown: "retryable",
  SlotMoving: "retryable",
  TooManyClients: "retryable",
  ScriptMissing: "retryable",
  Contended: "retryable",
  EarlierBatchFailed: "retryable",

  ConnectionLost: "unknown",

  AuthenticationFailed: "permanent",
  PermissionDenied: "permanent",
  WrongType: "permanent",
  Fenced: "permanent",
  ProducerStateMissing: "permanent",
  CrossSlot: "permanent",
  GroupMissing: "permanent",
  TlsRejected: "permanent",
  UnknownHost: "permanent",
  UnknownMaster: "permanent",
  Refused: "permanent",
  BufferOverflow: "permanent",
  BatchTimedOut: "permanent",
  EventNotEncodable: "permanent",
  EventTooLarge: "permanent",
  StreamUnresolved: "permanent",
  PositionInvalid: "permanent",
  EntryNotDecodable: "permanent",
  SourceCannotRewind: "permanent",
  ConfigurationInvalid: "permanent",

  RewindRequired: "rewind",
} as const satisfies Record<string, SinkErrorKind>;

/** The name of an error: `error._tag`. */
export type SinkErrorTag = keyof typeof kinds;

/** What an error carries beside its message. */
interface Details {
  readonly Fenced: { readonly epoch: number; readonly storedEpoch: number };
  readonly RewindRequired: {
    /** The stored position, from which the source has to send again; none: from its beginning. */
    readonly position: Option<unknown>;
  };
}

type DetailsOf<Tag extends SinkErrorTag> = Tag extends keyof Details ? Details[Tag] : undefined;

/** Tells a SinkError also from another copy of this package. */
const brand = Symbol.for("rxadd.SinkError");

class TaggedSinkError<Tag extends SinkErrorTag> extends Error {
  override readonly name = "SinkError";
  readonly _tag: Tag;
  readonly kind: (typeof kinds)[Tag];
  readonly details: DetailsOf<Tag>;

  constructor(tag: Tag, message: string, details: DetailsOf<Tag>, cause?: unknown) {
    // Whoever prints an error prints its causes as well.
    const kept = cause === undefined || isSinkError(cause) ? cause : causeWithoutSecrets(cause);
    super(withoutSecrets(message), kept === undefined ? undefined : { cause: kept });
    this._tag = tag;
    this.kind = kinds[tag];
    this.details = details;
  }
}

// No part of its type, which would not be that of the other copy.
Object.defineProperty(TaggedSinkError.prototype, brand, { value: true });

/**
 * Why a sink retries or ends: a union told apart by `_tag`, with what to do in `message`.
 *
 * @example
 * ```ts
 * sink$.subscribe({ error: (error) => isSinkError(error) && error._tag === "Fenced" && exit(3) });
 * ```
 */
export type SinkError = { readonly [Tag in SinkErrorTag]: TaggedSinkError<Tag> }[SinkErrorTag];

/** The errors that carry nothing but their message. */
export type PlainTag = Exclude<SinkErrorTag, keyof Details>;

/** Makes a {@link SinkError} that carries nothing but its message. */
export function sinkError<Tag extends PlainTag>(tag: Tag, message: string, cause?: unknown): SinkError;
/** Makes a {@link SinkError} that carries details. */
export function sinkError<Tag extends keyof Details>(
  tag: Tag,
  message: string,
  cause: unknown,
  details: Details[Tag],
): SinkError;
export function sinkError(tag: SinkErrorTag, message: string, cause?: unknown, details?: unknown): SinkError {
  // The overloads above tie `details` to `tag`; TypeScript cannot follow that into the union.
  return new TaggedSinkError(tag, message, details as never, cause) as SinkError;
}

/** Tells a {@link SinkError} from any other thrown value. */
export function isSinkError(error: unknown): error is SinkError {
  return error instanceof Error && brand in error;
}

/** Whether sending the batch again is right: it was not applied, or only perhaps. */
export function isRetryable(error: unknown): boolean {
  return isSinkError(error) && (error.kind === "retryable" || error.kind === "unknown");
}
