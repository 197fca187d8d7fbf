import { randomUUID } from "node:crypto";
import { isNone, isSome, none, type Option, some, toUndefined } from "fp-ts/lib/Option.js";
import {
  concatMap,
  defer,
  from,
  ignoreElements,
  type MonoTypeOperatorFunction,
  map,
  mergeMap,
  type Observable,
  of,
  reduce,
  tap,
  zip,
} from "rxjs";
import { rxaddError } from "../../errors/rxaddError.ts";
import type { Positions } from "../../event/positions.ts";
import {
  beginFields,
  type LedgerLine,
  type LedgerReply,
  type LedgerStore,
  laneFields,
  type OpenedLedger,
} from "../../redis/publish/ledger.ts";
import type { OpenedState, PublishPort } from "../../redis/publish/publishPort.ts";
import type { Entry } from "../encode/entry.ts";
import { comparePositions } from "./comparePositions.ts";
import type { AcknowledgedBatch } from "./lane.ts";
import { aheadOf, type LaneStand, nowhere } from "./stand.ts";

export interface LedgerOptions<P> {
  readonly store: LedgerStore;
  /** The key that it stands under, for messages. */
  readonly key: string;
  /** Where the producer state of a stream's lane stands. */
  readonly stateKeyOf: (stream: string) => string;
  readonly positions: Positions<P>;
  /** What follows when Redis does not answer as it should. */
  readonly retry: <A>() => MonoTypeOperatorFunction<A>;
  /** Begin although the ledger is gone while lanes stand that were opened under it. */
  readonly adopt: boolean;
}

/** Where a sink with several lanes goes on. */
export interface Resumption<P> {
  readonly epoch: number;
  /** The source has to go on after it; none: at its beginning. */
  readonly position: Option<P>;
  /** How many streams have lost what was acknowledged. */
  readonly streamsBack: number;
}

/** One position for lanes on several servers, which is never ahead of any of them. */
export interface Ledger<P> {
  /** Opens the ledger, which fences every other writer's, and looks where each lane stands. Emits once, completes. */
  readonly opened$: Observable<Resumption<P>>;
  /** Where the source was opened; undefined: at its beginning. Once the ledger is open. */
  readonly start: () => P | undefined;
  /** How the lanes' producer states tell who has opened them. Once the ledger is open. */
  readonly laneOwner: () => string;
  /** Opens lanes only if they are this writer's to open, and have what the ledger says. */
  readonly guard: (publishPort: PublishPort) => PublishPort;
  /** Told of each entry before it is published: fails with PositionInvalid where positions have no order. */
  readonly arrived: (entry: Entry<P>) => void;
  /** Told of each batch that a lane has. */
  readonly acknowledged: (batch: AcknowledgedBatch<P>) => void;
  /** Told how far all lanes are together. */
  readonly reached: (position: P) => void;
  /** Writes down that all up to a position is in the lanes; completes when that stands. */
  readonly write: (position: P) => Observable<never>;
  /** Where a position lies beside the one that was written when the ledger was opened: before it (less than 0), there (0), or after it. */
  readonly beside: (position: P) => number;
  /** How many lanes have moved since the last writing. */
  readonly moved: () => number;
}

/** What opening has found. */
interface Found<P> extends Resumption<P> {
  readonly state: OpenedLedger;
  readonly written: Option<P>;
  /** The lanes that stand before what the ledger says of them, and where they do. */
  readonly back: ReadonlyMap<string, LaneStand>;
}

/**
 * Keeps the ledger of a sink whose computed streams stand on several servers.
 *
 * Each writing is one step and says: all events up to `position` are in their lanes, if these stand where it says. So
 * whatever a failover has lost, of a lane or of the ledger itself, is found by comparing: a lane that stands before its
 * line has lost acknowledged batches, and the source goes on where that one stands.
 */
export function ledger<P>({ store, key, stateKeyOf, positions, retry, adopt }: LedgerOptions<P>): Ledger<P> {
  const owner = randomUUID();
  /** Lanes that have moved since the last writing, and where they stand. */
  let changed = new Map<string, LaneStand>();
  let begins = new Map<string, string>();
  /** What the writing that is on its way says of them. */
  let writing: ReadonlyMap<string, LaneStand> = changed;
  let found: Found<P> | undefined;
  /** The lanes that had lost something, and where they stand; until all that was written is there again. */
  const back = new Map<string, LaneStand>();
  let isCatchingUp = false;
  let reached: P | undefined;
  let sequence = 0;
  /** The newest page that stands. */
  let written = 0;
  let isChecked = false;

  function opened(): Found<P> {
    if (found === undefined) throw new Error("the ledger is not open");
    return found;
  }

  function decode(text: string): Option<P> {
    const position = text === "" ? none : positions.decode(text);
    if (text === "" || !isNone(position)) return position;
    throw rxaddError(
      "PositionInvalid",
      `${key}: found position ${text}, expected one of this source: give each source a sink id of its own`,
    );
  }

  /** Whether one position stands before another; none stands before all others. */
  function isBefore(a: Option<P>, b: Option<P>): boolean {
    if (isNone(a) || isNone(b)) return isNone(a) && !isNone(b);
    const order = comparePositions(positions, a.value, b.value);
    if (order === undefined) throw withoutOrder(a.value);
    return order < 0;
  }

  /** Whether something that one stand has is not there at another. */
  function isBehind(a: LaneStand, b: LaneStand): boolean {
    const [upToA, upToB] = [farthest(a), farthest(b)];
    if (isBefore(upToA.position, upToB.position)) return true;
    return !isBefore(upToB.position, upToA.position) && upToA.events < upToB.events;
  }

  /** The last position that a lane has events of, and how many of them. */
  function farthest(stand: LaneStand): { readonly position: Option<P>; readonly events: number } {
    const ahead = aheadOf(stand.ahead);
    return ahead === undefined
      ? { position: decode(stand.position), events: Number.POSITIVE_INFINITY }
      : { position: decode(ahead.position), events: ahead.events };
  }

  function withoutOrder(position: P): Error {
    return rxaddError(
      "PositionInvalid",
      `${key}: found position ${positions.encode(position)}, expected positions with an order: over the streams of a Cluster nothing else tells what is there already`,
    );
  }

  function lower(a: Option<P>, b: Option<P>): Option<P> {
    return isBefore(b, a) ? b : a;
  }

  /** Finds the lanes that have lost something, and where the source has to go on. */
  function look(state: OpenedLedger): Observable<Found<P>> {
    const written = decode(state.position);
    const lanes = new Map<string, LaneStand>();
    const start: Found<P> = {
      epoch: state.epoch,
      position: written,
      streamsBack: 0,
      state,
      written,
      back: lanes,
    };
    if (isNone(written)) return of(start);
    return store.stands().pipe(
      concatMap((lines) => from(lines)),
      mergeMap(([stream, line]) => backOf(stream, line), 1000),
      reduce((so, lane) => {
        if (lane === undefined) return so;
        lanes.set(lane.stream, lane.stand);
        return { ...so, position: lower(so.position, decode(lane.from)), streamsBack: lanes.size };
      }, start),
    );
  }

  function backOf(
    stream: string,
    line: LaneStand,
  ): Observable<{ readonly stream: string; readonly stand: LaneStand; readonly from: string } | undefined> {
    return store.trace(stateKeyOf(stream)).pipe(
      concatMap((stand) => {
        const isThere = stand.position === line.position && stand.ahead === line.ahead;
        if (isThere || !isBehind(stand, line)) return of(undefined);
        if (stand.position !== "") return of({ stream, stand, from: stand.position });
        // What is gone as a whole had no event before it was made.
        return store.line(stream).pipe(map(({ begin }) => ({ stream, stand, from: begin })));
      }),
    );
  }

  /** What is known of a lane: what this writer has yet to write down, or the ledger's line. */
  function lineOf(stream: string): Observable<LedgerLine> {
    return store.line(stream).pipe(
      map((line) => {
        checkLedger(line.ledger);
        return { ...line, ...(changed.get(stream) ?? writing.get(stream) ?? back.get(stream)) };
      }),
    );
  }

  /**
   * Only who has opened the ledger last may open lanes: it would take them from their owner. And a ledger that has lost
   * pages says too little of a lane that has lost batches with it: what is published there next would hide them.
   */
  function checkLedger(found: LedgerLine["ledger"]): void {
    if (found.owner !== owner && found.epoch >= opened().epoch) check({ reply: "fenced", ...found });
    if (found.owner !== owner || found.sequence < written) check({ reply: "lost", position: "" });
  }

  /** A lane may have been opened under a ledger that is gone. */
  function checkName(stateKey: string, laneOwner: string): void {
    const [name, mark] = laneOwner.split("/");
    if (mark === undefined || name === opened().state.name || adopt) return;
    throw rxaddError(
      "ProducerStateMissing",
      `${key}: the sink's position is gone but ${stateKey} stands, which was written under it: nobody knows what other streams have lost; restore it, or delete all streams and producer states of this sink; or start once with adopt: true, which goes on with what is there`,
    );
  }

  /** Redis may have lost something since the ledger was opened, and since the lane was closed. */
  function checkStanding(stateKey: string, state: OpenedState, line: LedgerLine): void {
    const stand = state.position === "" && state.ahead === "" ? { ...nowhere, position: line.begin } : state;
    if (!isBehind(stand, line)) return;
    throw rxaddError(
      "RewindRequired",
      `${stateKey}: found position ${state.position || "(beginning)"}, but what was acknowledged goes on to ${line.position}: Redis has lost batches; send again from there`,
      undefined,
      { position: decode(stand.position) },
    );
  }

  function noteBegin(stream: string): void {
    const begin = reached === undefined ? opened().position : some(reached);
    if (!isNone(begin)) begins.set(stream, positions.encode(begin.value));
  }

  /** Turns what was found into success or an error. */
  function check(reply: LedgerReply): void {
    const { epoch } = opened();
    switch (reply.reply) {
      case "written":
        return;
      case "fenced":
        throw rxaddError(
          "Fenced",
          `${key}: found ${reply.epoch === epoch ? "another owner" : `epoch ${reply.epoch}, mine is ${epoch}`}: another writer with this sink id has taken over; run one writer per sink id`,
          undefined,
          { epoch, storedEpoch: reply.epoch },
        );
      case "lost":
        throw rxaddError(
          "RewindRequired",
          `${key}: Redis has lost the sink's newest positions; send again from position ${reply.position || "(beginning)"}`,
          undefined,
          { position: decode(reply.position) },
        );
    }
  }

  /** Takes what has moved. What stood back has caught up by now with all that the source has. */
  function takeChanged(): readonly string[] {
    for (const [stream, stand] of back) changed.set(stream, stand);
    back.clear();
    isCatchingUp = false;
    const fields = [
      ...[...changed].flatMap(([stream, stand]) => laneFields(stream, stand)),
      ...[...begins].flatMap(([stream, begin]) => beginFields(stream, begin)),
    ];
    writing = changed;
    changed = new Map();
    begins = new Map();
    return fields;
  }

  return {
    opened$: defer(() => store.open(owner, randomUUID())).pipe(
      concatMap(look),
      retry(),
      tap((now) => {
        found = now;
        sequence = now.state.sequence;
        written = sequence;
        for (const [stream, stand] of now.back) back.set(stream, stand);
        isCatchingUp = isSome(now.written);
      }),
    ),
    start: () => toUndefined(opened().position),
    laneOwner: () => `${opened().state.name}/${owner}`,
    guard: (publishPort) => ({
      ...publishPort,
      open: (keys, laneOwner, adopting) =>
        defer(() => zip(store.trace(keys.state), lineOf(keys.stream ?? ""))).pipe(
          tap(([trace]) => checkName(keys.state, trace.owner)),
          concatMap(([, line]) =>
            publishPort.open(keys, laneOwner, adopting).pipe(
              tap((found) => {
                if (found.reply === "gone") return;
                checkStanding(keys.state, found, line);
                if (found.sequence === 0) noteBegin(keys.stream ?? "");
              }),
            ),
          ),
        ),
    }),
    arrived: ({ position }) => {
      if (isChecked || position === undefined) return;
      if (isNone(positions.orderOf(position))) throw withoutOrder(position);
      isChecked = true;
    },
    acknowledged: ({ stream, stand: { position, ahead } }) => {
      if (position === "" && ahead === "") return;
      const stand = { position, ahead };
      if (back.has(stream)) back.set(stream, stand);
      // What was there when that was written, the ledger knows.
      else if (!isCatchingUp || isBehind({ position: opened().state.position, ahead: "" }, stand))
        changed.set(stream, stand);
    },
    reached: (position) => {
      if (reached === undefined || isBefore(some(reached), some(position))) reached = position;
    },
    write: (position) =>
      defer(() => {
        sequence += 1;
        const lanes = takeChanged();
        const furthest = positions.encode(reached ?? position);
        const page = { owner, epoch: opened().epoch, sequence, position: furthest, lanes };
        return store.write(page).pipe(
          tap(check),
          retry(),
          tap(() => {
            written = page.sequence;
          }),
          ignoreElements(),
        );
      }),
    beside: (position) => {
      const { written } = opened();
      return isBefore(some(position), written) ? -1 : isBefore(written, some(position)) ? 1 : 0;
    },
    moved: () => changed.size,
  };
}
