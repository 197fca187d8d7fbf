import { concatMap, from, map, mergeMap, type Observable, of, reduce } from "rxjs";
import type { LedgerStore, OpenedLedger } from "../../redis/publish/ledger.ts";
import { type LaneStand, storedPosition } from "./stand.ts";
import { isBefore, isBehind, type StandOrder } from "./standOrder.ts";

export interface LookOptions<P> extends StandOrder<P> {
  readonly store: LedgerStore;
  /** Where the producer state of a stream's lane stands. */
  readonly stateKeyOf: (stream: string) => string;
}

/** Where a sink with several lanes goes on. */
export interface Resumption<P> {
  readonly epoch: number;
  /** The source has to go on after it; undefined: at its beginning. */
  readonly position: P | undefined;
  /** How many streams have lost what was acknowledged. */
  readonly streamsBack: number;
}

/** What opening has found. */
export interface Found<P> extends Resumption<P> {
  readonly state: OpenedLedger;
  readonly written: P | undefined;
  /** The lanes that stand before what the ledger says of them, and where they do. */
  readonly back: ReadonlyMap<string, LaneStand>;
}

/** Finds the lanes that have lost something, and where the source has to go on. */
export function look<P>(options: LookOptions<P>, state: OpenedLedger): Observable<Found<P>> {
  const { store, positions, key } = options;
  const written = storedPosition(positions, key, state.position);
  const back = new Map<string, LaneStand>();
  const start = { epoch: state.epoch, position: written, streamsBack: 0, state, written, back };
  if (written === undefined) return of(start);
  return store.stands().pipe(
    concatMap((lines) => from(lines)),
    mergeMap(([stream, line]) => backOf(options, stream, line), 1000),
    reduce((so, lane) => {
      if (lane === undefined) return so;
      back.set(lane.stream, lane.stand);
      const begin = storedPosition(positions, key, lane.from);
      const position = isBefore(options, begin, so.position) ? begin : so.position;
      return { ...so, position, streamsBack: back.size };
    }, start),
  );
}

/** Where a lane stands that has lost something, and where the source has to go on for it. */
interface LaneBack {
  readonly stream: string;
  readonly stand: LaneStand;
  readonly from: string;
}

function backOf<P>(
  options: LookOptions<P>,
  stream: string,
  line: LaneStand,
): Observable<LaneBack | undefined> {
  const { store, stateKeyOf } = options;
  return store.trace(stateKeyOf(stream)).pipe(
    concatMap((stand) => {
      const isThere = stand.position === line.position && stand.ahead === line.ahead;
      if (isThere || !isBehind(options, stand, line)) return of(undefined);
      if (stand.position !== "") return of({ stream, stand, from: stand.position });
      // What is gone as a whole had no event before it was made.
      return store.line(stream).pipe(map(({ begin }) => ({ stream, stand, from: begin })));
    }),
  );
}
