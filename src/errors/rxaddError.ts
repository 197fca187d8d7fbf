import { causeWithoutSecrets, withoutSecrets } from "./withoutSecrets.ts";

/**
 * What an error means for what failed:
 * - `retryable`: Redis did not apply it; it is sent again after a while.
 * - `unknown`: Redis may have applied it; it is sent again under the same sequence, which is safe.
 * - `permanent`: sending it again cannot help; the Observable ends.
 * - `rewind`: Redis has lost acknowledged batches; the source must go back.
 */
export type ErrorKind = "retryable" | "unknown" | "permanent" | "rewind";

/** Who has to change something: Redis or PostgreSQL, or the user in the configuration or the input. */
export type Blamed = "server" | "input";

interface Traits {
  readonly kind: ErrorKind;
  readonly blames: Blamed;
}

const retryable = { kind: "retryable", blames: "server" } as const;
const unknown = { kind: "unknown", blames: "server" } as const;
const permanent = { kind: "permanent", blames: "server" } as const;
const rewind = { kind: "rewind", blames: "server" } as const;
const wrongInput = { kind: "permanent", blames: "input" } as const;

/** Every error of sinks and consumers, and what it means. The one place that decides it. */
const ofRedis = {
  Unreachable: retryable,
  OutOfMemory: retryable,
  ReadOnlyReplica: retryable,
  Loading: retryable,
  Busy: retryable,
  NotEnoughReplicas: retryable,
  PersistenceFailing: retryable,
  ClusterDown: retryable,
  SlotMoving: retryable,
  TooManyClients: retryable,
  ScriptMissing: retryable,
  Contended: retryable,
  EarlierBatchFailed: retryable,

  ConnectionLost: unknown,

  AuthenticationFailed: permanent,
  PermissionDenied: permanent,
  WrongType: permanent,
  Fenced: permanent,
  ProducerStateMissing: permanent,
  CrossSlot: permanent,
  GroupMissing: permanent,
  TlsRejected: permanent,
  Refused: permanent,
  BufferOverflow: permanent,
  BatchTimedOut: permanent,
  SourceCannotRewind: permanent,

  UnknownHost: wrongInput,
  UnknownMaster: wrongInput,
  EventNotEncodable: wrongInput,
  EventTooLarge: wrongInput,
  StreamUnresolved: wrongInput,
  PositionInvalid: wrongInput,
  EntryNotDecodable: wrongInput,
  ConfigurationInvalid: wrongInput,
  PublisherClosed: wrongInput,

  RewindRequired: rewind,
} as const satisfies Record<string, Traits>;

/** Those of sources and of what listens; a source has some of the above as well. */
const ofOthers = {
  SlotInUse: retryable,
  NotConfigured: wrongInput,
  PositionUnavailable: wrongInput,
  InputInvalid: wrongInput,
  CannotListen: wrongInput,
} as const satisfies Record<string, Traits>;

/** What each tag says of its error. */
export const traits = { ...ofRedis, ...ofOthers } as const;

/** The name of an error: `error._tag`. */
export type ErrorTag = keyof typeof traits;

/** Every `_tag` of an error that a sink or a consumer retries. */
export const retryCauses: readonly string[] = Object.entries(ofRedis)
  .filter(([, { kind }]) => kind === "retryable" || kind === "unknown")
  .map(([tag]) => tag);

/** What an error carries beside its message. */
interface Details {
  readonly Fenced: { readonly epoch: number; readonly storedEpoch: number };
  readonly RewindRequired: {
    /** The stored position, from which the source has to send again; undefined: from its beginning. */
    readonly position: unknown;
  };
}

type DetailsOf<Tag extends ErrorTag> = Tag extends keyof Details ? Details[Tag] : undefined;

/** Tells an RxaddError also from another copy of this package. */
const brand = Symbol.for("rxadd.RxaddError");

class TaggedError<Tag extends ErrorTag> extends Error {
  override readonly name = "RxaddError";
  readonly _tag: Tag;
  readonly kind: (typeof traits)[Tag]["kind"];
  readonly blames: Blamed;
  readonly details: DetailsOf<Tag>;

  constructor(tag: Tag, message: string, details: DetailsOf<Tag>, cause?: unknown, blames?: Blamed) {
    // Whoever prints an error prints its causes as well.
    const kept = cause === undefined || isRxaddError(cause) ? cause : causeWithoutSecrets(cause);
    super(withoutSecrets(message), kept === undefined ? undefined : { cause: kept });
    this._tag = tag;
    this.kind = traits[tag].kind;
    this.blames = blames ?? traits[tag].blames;
    this.details = details;
  }
}

// No part of its type, which would not be that of the other copy.
Object.defineProperty(TaggedError.prototype, brand, { value: true });

/**
 * Why a sink retries or ends: a union told apart by `_tag`, with what to do in `message`.
 *
 * @example
 * ```ts
 * sink$.subscribe({ error: (error) => isRxaddError(error) && error._tag === "Fenced" && exit(3) });
 * ```
 */
export type RxaddError = { readonly [Tag in ErrorTag]: TaggedError<Tag> }[ErrorTag];

/** The errors that carry nothing but their message. */
export type PlainTag = Exclude<ErrorTag, keyof Details>;

/** Makes an {@link RxaddError} that carries nothing but its message. */
export function rxaddError<Tag extends PlainTag>(tag: Tag, message: string, cause?: unknown): RxaddError;
/** Makes an {@link RxaddError} that carries details. */
export function rxaddError<Tag extends keyof Details>(
  tag: Tag,
  message: string,
  cause: unknown,
  details: Details[Tag],
): RxaddError;
export function rxaddError(tag: ErrorTag, message: string, cause?: unknown, details?: unknown): RxaddError {
  // The overloads above tie `details` to `tag`; TypeScript cannot follow that into the union.
  return new TaggedError(tag, message, details as never, cause) as RxaddError;
}

/** Makes the error of a source: the user mends the configuration or the input, whatever it is. */
export function sourceError(tag: PlainTag, message: string, cause?: unknown): RxaddError {
  // As above.
  return new TaggedError(tag, message, undefined as never, cause, "input") as RxaddError;
}

/** Tells an {@link RxaddError} from any other thrown value. */
export function isRxaddError(error: unknown): error is RxaddError {
  return error instanceof Error && brand in error;
}

/** Whether sending the batch again is right: it was not applied, or only perhaps. */
export function isRetryable(error: unknown): boolean {
  return isRxaddError(error) && (error.kind === "retryable" || error.kind === "unknown");
}

/** Whether Redis has lost batches that it had acknowledged: the source must go back. */
export function isRewind(error: unknown): error is Extract<RxaddError, { readonly kind: "rewind" }> {
  return isRxaddError(error) && error.kind === "rewind";
}
