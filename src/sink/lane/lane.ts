import { isNone, none, type Option, toUndefined } from "fp-ts/lib/Option.js";
import {
  catchError,
  concatMap,
  identity,
  type MonoTypeOperatorFunction,
  map,
  type Observable,
  of,
  ReplaySubject,
  share,
  tap,
  throwError,
} from "rxjs";
import { type RxaddError, rxaddError } from "../../errors/rxaddError.ts";
import type { Positions } from "../../event/positions.ts";
import type { BatchNumber } from "../../redis/publish/protocol.ts";
import type {
  EntryContent,
  LaneKeys,
  NumberedBatch,
  OpenedState,
  PublishPort,
  PublishReply,
} from "../../redis/publish/publishPort.ts";
import { positionText } from "../../telemetry/positionText.ts";
import type { Batch, Entry } from "../encode/entry.ts";
import { order } from "../encode/safePosition.ts";
import { replay } from "./replay.ts";
import type { Replayed } from "./replayReport.ts";

import { aheadOf, type LaneStand } from "./stand.ts";
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

/** What of a batch is published, and under which number. */
export interface SentBatch<P> {
  /** Those of which something is written. */
  readonly entries: Batch<P>;
  readonly sequence: number;
}

/** A batch with its number and with what of it is to be published. */
interface Numbered<P> extends SentBatch<P> {
  readonly sent: NumberedBatch;
  readonly replayed: number;
  /** Whether all of it was there already. */
  readonly isKnown: boolean;
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

export interface LaneOptions<P> {
  readonly keys: LaneKeys;
  /** Tells this subscription from every other one. */
  readonly owner: string;
  readonly publishPort: PublishPort;
  readonly positions: Positions<P>;
  /** Begins although a producer state has been there and is gone. */
  readonly adopt?: boolean;
  /** What follows when opening fails. */
  readonly retry: MonoTypeOperatorFunction<OpenedState>;
  /** Told once, when the lane is open. */
  readonly opened?: (lane: OpenedLane<P>) => void;
  /** Told of each batch before it is sent for the first time. */
  readonly sending?: ((batch: Batch<P>, sent: SentBatch<P>) => void) | undefined;
  /** Told of each batch what of it is left out, being in the stream already. */
  readonly replayed?: ((replayed: Replayed<P>) => void) | undefined;
  /** Told what the user should know although the lane goes on. */
  readonly warned?: (message: string) => void;
}

/**
 * One writer's side of the publish protocol: numbers the batches, leaves out events that are already
 * in the stream, and turns what Redis found into success or an RxaddError.
 */
export function lane<P>({
  keys,
  owner,
  publishPort,
  positions,
  adopt = false,
  retry,
  opened,
  sending,
  replayed: told,
  warned,
}: LaneOptions<P>): Lane<P> {
  let writer: Pick<Lane<P>, "publish"> | undefined;
  const opening$ = publishPort.open(keys, owner, adopt).pipe(
    map((found) => {
      if (found.reply === "gone") throw stateGone(keys);
      return found;
    }),
    retry,
    map((state) => {
      const position = decodePosition(state.position);
      return {
        epoch: state.epoch,
        foreignEntries: state.foreignEntries,
        position,
        ...writerFrom(state, position),
      };
    }),
    tap((lane) => {
      writer = lane;
      opened?.(lane);
    }),
    share({ connector: () => new ReplaySubject(1), resetOnComplete: false, resetOnError: false }),
  );

  function decodePosition(text: string): Option<P> {
    const position = text === "" ? none : positions.decode(text);
    if (text === "" || !isNone(position)) return position;
    throw rxaddError(
      "PositionInvalid",
      `${keys.state}: found position ${text}, expected one of this source: give each source a sink id of its own`,
    );
  }

  /** What changes as batches go by, from where the lane was opened. */
  function writerFrom(state: OpenedState, from: Option<P>): Pick<Lane<P>, "publish" | "confirm"> {
    const numbered = new WeakMap<Batch<P>, Numbered<P>>();
    let { sequence, position } = state;
    let ahead = aheadOf(state.ahead);
    let reached = toUndefined(from);
    let newest: Entry<P> | undefined;
    const replayOf = replay(positions, reached, ahead);
    let acknowledged = { sequence, entryId: state.entryId };

    /** What of a batch is not in the stream. */
    function unknownOf(batch: Batch<P>): { readonly fresh: Batch<P>; readonly replayed: number } {
      const fresh: Entry<P>[] = [];
      let replayed = 0;
      let behind: Entry<P> | undefined;
      let upTo: P | undefined;
      for (const entry of batch) {
        const verdict = replayOf(entry);
        if (verdict === "clash") throw clash(newest, entry);
        if (verdict === "new") {
          fresh.push(entry);
          newest = entry;
        } else if (entry.written.fate !== "skip") {
          replayed += 1;
          upTo = entry.position;
          if (verdict === "behind") behind ??= entry;
        }
      }
      told?.({ events: replayed, behind, position: upTo });
      return { fresh, replayed };
    }

    function wholeUpTo(safe: P | undefined): void {
      if (safe === undefined || (reached !== undefined && order(positions, safe, reached) <= 0)) return;
      reached = safe;
      position = positions.encode(reached);
    }

    /** Moves the position on to the end of a batch, but not beyond what is whole. Events without a position change nothing of it. */
    function moveTo(fresh: Batch<P>): void {
      const last = fresh.findLast(isPlaced);
      if (last?.position === undefined) return;
      const here = last.position;
      const first = fresh.find(isPlaced)?.position;
      // Where another position comes, no more comes of the one that stood ahead: the source may have begun after it.
      if (ahead !== undefined && first !== undefined && positions.encode(first) !== ahead.position)
        wholeUpTo(toUndefined(decodePosition(ahead.position)));
      wholeUpTo(last.safe);
      if (last.safe !== undefined && order(positions, here, last.safe) === 0) {
        ahead = undefined;
        return;
      }
      const isBefore = ({ position }: Entry<P>) =>
        position !== undefined && order(positions, position, here) !== 0;
      const before = fresh.findLastIndex(isBefore);
      const text = positions.encode(here);
      const earlier = before < 0 && ahead?.position === text ? ahead.events : 0;
      const events = fresh.slice(before + 1).filter(isPlaced).length;
      ahead = { position: text, events: events + earlier };
    }

    /** The same batch gets the same number each time that it is sent. */
    function number(batch: Batch<P>): Numbered<P> {
      const known = numbered.get(batch);
      if (known !== undefined) return known;
      const { fresh, replayed } = unknownOf(batch);
      const isKnown = fresh.length === 0;
      if (!isKnown) sequence += 1;
      moveTo(fresh);
      const sent = {
        owner,
        epoch: state.epoch,
        sequence,
        position,
        ahead: ahead === undefined ? "" : `${ahead.events} ${ahead.position}`,
        entries: contentsOf(fresh),
      };
      const entries = sent.entries.length === fresh.length ? fresh : fresh.filter(isWritten);
      const next = { sent, entries, sequence, replayed, isKnown };
      numbered.set(batch, next);
      if (!isKnown) sending?.(batch, next);
      return next;
    }

    function acknowledge(batch: Batch<P>, numbered: Numbered<P>, entryId: string): AcknowledgedBatch<P> {
      const { sent, entries, sequence, replayed } = numbered;
      if (sequence > acknowledged.sequence) acknowledged = { sequence, entryId };
      return {
        stream: keys.stream ?? newestStreamOf(batch),
        batch,
        published: entries,
        replayed,
        stand: sent,
        sequence,
        entryId,
      };
    }

    /** Turns what Redis found into success or an error. */
    function check<A>(reply: PublishReply, sent: BatchNumber, onSuccess: (entryId: string) => A): A {
      if (reply.reply === "published") {
        // Of computed streams there may be new ones at any time.
        if (reply.isRenewed && keys.stream !== undefined)
          warned?.(`${keys.stream} was deleted; it begins anew with batch ${sent.sequence}`);
        return onSuccess(reply.entryId);
      }
      throw findingError(reply, keys, sent, acknowledged.sequence, decodePosition);
    }

    return {
      publish: (batch) => {
        const numbered = number(batch);
        if (numbered.isKnown) return of(acknowledge(batch, numbered, acknowledged.entryId));
        return publishPort.publish(keys, numbered.sent).pipe(
          map((reply) => check(reply, numbered.sent, (entryId) => acknowledge(batch, numbered, entryId))),
          catchError((error) => throwError(() => withSizeHint(error, numbered.entries))),
        );
      },
      confirm: ({ sequence, stream }) => {
        const upTo = { owner, epoch: state.epoch, sequence };
        return (
          publishPort.confirm?.(keys, upTo, stream) ??
          of({ reply: "published", entryId: "", isRenewed: false } as const)
        ).pipe(map((reply) => check(reply, upTo, identity)));
      },
    };
  }

  return {
    keys,
    opened$: opening$,
    publish: (batch) => writer?.publish(batch) ?? opening$.pipe(concatMap((lane) => lane.publish(batch))),
    confirm: (acknowledged) => opening$.pipe(concatMap((lane) => lane.confirm(acknowledged))),
  };
}

/** After a crash between two events at one position nobody could tell whether the second one is there. */
function clash<P>(one: Entry<P> | undefined, other: Entry<P>): RxaddError {
  const names = [one, other].map((entry) => entry?.id ?? entry?.ordinal ?? "before").join(" and ");
  return rxaddError(
    "PositionInvalid",
    `events ${names}: found the same position ${positionText(other.position)} on both, expected increasing positions; only events of one transaction may share one`,
  );
}

function isPlaced<P>({ position }: Entry<P>): boolean {
  return position !== undefined;
}

function isWritten<P>({ written }: Entry<P>): boolean {
  return written.fate !== "skip";
}

function contentsOf<P>(entries: Batch<P>): readonly EntryContent[] {
  const contents: EntryContent[] = [];
  for (const { written } of entries) if (written.fate !== "skip") contents.push(written);
  return contents;
}

/** Of a batch over several streams: that of its last entry which is no dead letter. */
function newestStreamOf<P>(batch: Batch<P>): string {
  const last = batch.findLast(({ written }) => written.fate === "publish") ?? batch.at(-1);
  return last?.written.stream ?? "";
}
