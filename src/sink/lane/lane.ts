import { type Option, toUndefined } from "fp-ts/lib/Option.js";
import {
  catchError,
  concatMap,
  type MonoTypeOperatorFunction,
  map,
  type Observable,
  of,
  ReplaySubject,
  share,
  tap,
  throwError,
} from "rxjs";
import type { BatchNumber } from "../../redis/publish/protocol.ts";
import type { LaneKeys, OpenedState, PublishPort, PublishReply } from "../../redis/publish/publishPort.ts";
import type { Batch } from "../encode/entry.ts";
import { type Numbered, Numbering, type NumberingOptions } from "./numbering.ts";
import { type LaneStand, storedPosition } from "./stand.ts";
import { findingError, stateGone, withSizeHint } from "./verdictError.ts";

/** A batch that Redis has. */
export interface AcknowledgedBatch<P> {
  readonly stream: string;
  readonly batch: Batch<P>;
  /** Those of its entries that this run published; the others were in the stream already. */
  readonly published: Batch<P>;
  /** How many of its events were in the stream already. */
  readonly replayed: number;
  /** What the lane's producer state holds with it. */
  readonly stand: LaneStand;
  readonly sequence: number;
  readonly entryId: string;
}

/** Where a lane stands when it is opened. */
export interface OpenedLane<P> {
  readonly epoch: number;
  readonly position: Option<P>;
  readonly foreignEntries: number;
}

/** What has one sequence: one sink, or in a Cluster one stream key of a sink. */
export interface Lane<P> {
  readonly keys: LaneKeys;
  /** Opens the lane once, however often it is subscribed to; emits where it stands and completes. */
  readonly opened$: Observable<OpenedLane<P>>;
  /** Publishes a batch, or finds it published; safe to repeat. Batches are first given in order. */
  readonly publish: (batch: Batch<P>) => Observable<AcknowledgedBatch<P>>;
  /** Waits until all up to a batch is durable; emits once. */
  readonly confirm: (acknowledged: AcknowledgedBatch<P>) => Observable<unknown>;
}

export interface LaneOptions<P> extends NumberingOptions<P> {
  readonly keys: LaneKeys;
  /** Tells this subscription from every other one. */
  readonly owner: string;
  readonly publishPort: PublishPort;
  /** Begins although a producer state has been there and is gone. */
  readonly adopt: boolean;
  /** What follows when opening fails. */
  readonly retry: MonoTypeOperatorFunction<OpenedState>;
  /** Told once, when the lane is open. */
  readonly opened: (lane: OpenedLane<P>) => void;
  /** Told what the user should know although the lane goes on. */
  readonly warned: (message: string) => void;
}

/**
 * One writer's side of the publish protocol: numbers the batches, leaves out events that are already
 * in the stream, and turns what Redis found into success or an RxaddError.
 */
export function lane<P>(options: LaneOptions<P>): Lane<P> {
  const { keys, owner, publishPort, adopt, retry, opened } = options;
  let open: OpenLane<P> | undefined;
  const opening$ = publishPort.open(keys, owner, adopt).pipe(
    map((found) => {
      if (found.reply === "gone") throw stateGone(keys);
      return found;
    }),
    retry,
    map((state) => new OpenLane(options, state)),
    tap((lane) => {
      open = lane;
      opened(lane);
    }),
    share({ connector: () => new ReplaySubject(1), resetOnComplete: false, resetOnError: false }),
  );
  return {
    keys,
    opened$: opening$,
    publish: (batch) => open?.publish(batch) ?? opening$.pipe(concatMap((lane) => lane.publish(batch))),
    confirm: (acknowledged) => opening$.pipe(concatMap((lane) => lane.confirm(acknowledged))),
  };
}

/** A lane from where it was opened. */
class OpenLane<P> implements OpenedLane<P> {
  readonly epoch: number;
  readonly position: Option<P>;
  readonly foreignEntries: number;
  readonly #options: LaneOptions<P>;
  readonly #numbering: Numbering<P>;
  /** The newest batch that is there. */
  #newest: Pick<AcknowledgedBatch<P>, "sequence" | "entryId">;

  constructor(options: LaneOptions<P>, state: OpenedState) {
    const { owner, keys, positions } = options;
    const { epoch, sequence, entryId, foreignEntries } = state;
    this.epoch = epoch;
    this.foreignEntries = foreignEntries;
    this.position = storedPosition(positions, keys.state, state.position);
    this.#options = options;
    const newest = { owner, epoch, sequence };
    this.#numbering = new Numbering(options, keys.state, newest, state, toUndefined(this.position));
    this.#newest = { sequence, entryId };
  }

  publish(batch: Batch<P>): Observable<AcknowledgedBatch<P>> {
    const { publishPort, keys } = this.#options;
    const numbered = this.#numbering.number(batch);
    const { sent, entries } = numbered;
    if (sent === undefined) return of(this.#acknowledged(batch, numbered, this.#newest.entryId));
    return publishPort.publish(keys, sent).pipe(
      map((reply) => this.#acknowledged(batch, numbered, this.#check(reply, sent))),
      catchError((error) => throwError(() => withSizeHint(error, entries))),
    );
  }

  confirm({ sequence, stream }: AcknowledgedBatch<P>): Observable<unknown> {
    const { publishPort, keys, owner } = this.#options;
    const upTo = { owner, epoch: this.epoch, sequence };
    const confirmed$ = publishPort.confirm?.(keys, upTo, stream);
    return confirmed$?.pipe(map((reply) => this.#check(reply, upTo))) ?? of(undefined);
  }

  /** Turns what Redis found into the ID of the newest entry, or an error. */
  #check(reply: PublishReply, sent: BatchNumber): string {
    const { keys, positions, warned } = this.#options;
    if (reply.reply !== "published") {
      throw findingError(reply, keys, sent, this.#newest.sequence, (text) =>
        storedPosition(positions, keys.state, text),
      );
    }
    // Of computed streams there may be new ones at any time.
    if (reply.isRenewed && keys.stream !== undefined)
      warned(`${keys.stream} was deleted; it begins anew with batch ${sent.sequence}`);
    return reply.entryId;
  }

  #acknowledged(
    batch: Batch<P>,
    { entries, sequence, replayed, stand }: Numbered<P>,
    entryId: string,
  ): AcknowledgedBatch<P> {
    if (sequence > this.#newest.sequence) this.#newest = { sequence, entryId };
    const stream = this.#options.keys.stream ?? newestStreamOf(batch);
    return { stream, batch, published: entries, replayed, stand, sequence, entryId };
  }
}

/** Of a batch over several streams: that of its last entry which is no dead letter. */
function newestStreamOf<P>(batch: Batch<P>): string {
  const last = batch.findLast(({ written }) => written.fate === "publish") ?? batch.at(-1);
  return last?.written.stream ?? "";
}
