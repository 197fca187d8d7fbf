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
import { type Batch, isDelivered } from "../encode/entry.ts";
import { type Numbered, type NumberingOptions, numbering } from "./numbering.ts";
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
  /** Undefined: it has nothing. */
  readonly position: P | undefined;
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
    map((state) => openLane(options, state)),
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

type OpenLane<P> = OpenedLane<P> & Pick<Lane<P>, "publish" | "confirm">;

/** A lane from where it was opened. */
function openLane<P>(options: LaneOptions<P>, state: OpenedState): OpenLane<P> {
  const { keys, owner, publishPort, positions, warned } = options;
  const { epoch, sequence, entryId, foreignEntries } = state;
  const decode = (text: string) => storedPosition(positions, keys.state, text);
  const position = decode(state.position);
  const number = numbering(options, keys.state, { owner, epoch, sequence }, state, position);
  /** The newest batch that is there. */
  let newest = { sequence, entryId };

  /** Turns what Redis found into the ID of the newest entry, or an error. */
  function check(reply: PublishReply, sent: BatchNumber): string {
    if (reply.reply !== "published") throw findingError(reply, keys, sent, newest.sequence, decode);
    // Of computed streams there may be new ones at any time.
    if (reply.isRenewed && keys.stream !== undefined)
      warned(`${keys.stream} was deleted; it begins anew with batch ${sent.sequence}`);
    return reply.entryId;
  }

  function acknowledged(
    batch: Batch<P>,
    { entries, sequence, replayed, stand }: Numbered<P>,
    entryId: string,
  ): AcknowledgedBatch<P> {
    if (sequence > newest.sequence) newest = { sequence, entryId };
    const stream = keys.stream ?? newestStreamOf(batch);
    return { stream, batch, published: entries, replayed, stand, sequence, entryId };
  }

  return {
    epoch,
    position,
    foreignEntries,
    publish: (batch) => {
      const numbered = number(batch);
      const { sent, entries } = numbered;
      if (sent === undefined) return of(acknowledged(batch, numbered, newest.entryId));
      return publishPort.publish(keys, sent).pipe(
        map((reply) => acknowledged(batch, numbered, check(reply, sent))),
        catchError((error) => throwError(() => withSizeHint(error, entries))),
      );
    },
    confirm: ({ sequence, stream }) => {
      const upTo = { owner, epoch, sequence };
      const confirmed$ = publishPort.confirm?.(keys, upTo, stream);
      return confirmed$?.pipe(map((reply) => check(reply, upTo))) ?? of(undefined);
    },
  };
}

/** Of a batch over several streams: that of its last entry which is no dead letter. */
function newestStreamOf<P>(batch: Batch<P>): string {
  const last = batch.findLast(isDelivered) ?? batch.at(-1);
  return last?.stream ?? "";
}
