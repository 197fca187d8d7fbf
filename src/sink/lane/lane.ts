import {
  catchError,
  concat,
  concatMap,
  endWith,
  ignoreElements,
  type MonoTypeOperatorFunction,
  map,
  type Observable,
  ReplaySubject,
  share,
  tap,
  throwError,
} from "rxjs";
import type { RxaddError } from "../../errors/rxaddError.ts";
import type { LaneKeys } from "../../redis/publish/publishPort.ts";
import type { Batch } from "../encode/entry.ts";
import { type Begun, LaneRun, type LaneRunOptions, type Left, sentAnew } from "./laneRun.ts";
import { type LaneStand, nowhere } from "./stand.ts";

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

/** Of a batch of which nothing is written, and nobody has to know. */
export function passedOver<P>(stream: string, batch: Batch<P>): AcknowledgedBatch<P> {
  return { stream, batch, published: [], replayed: 0, stand: nowhere, sequence: 0, entryId: "" };
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

export interface LaneOptions<P> extends LaneRunOptions<P> {
  readonly keys: LaneKeys;
  /** Opens it under a name of its own, the same however often that is tried. */
  readonly begin: () => Observable<Begun>;
  /** What follows when opening fails. */
  readonly retry: MonoTypeOperatorFunction<Begun>;
  /** Whether batches that have yet to be confirmed are kept, to be sent again after a loss. */
  readonly holdsUnconfirmed: boolean;
  /** Told when the lane is open. */
  readonly opened: (lane: OpenedLane<P>) => void;
  /** Told how many acknowledged events Redis has lost, where the lane goes on all the same. */
  readonly lost: (events: number) => void;
}

/**
 * One writer's side of the publish protocol. Where Redis has lost acknowledged batches, and no source can be asked for them,
 * the lane is opened anew, and what is not safe yet goes first.
 */
export function lane<P>(options: LaneOptions<P>): Lane<P> {
  const itsRuns = new LaneRuns(options);
  return {
    keys: options.keys,
    get opened$() {
      return itsRuns.opened$;
    },
    publish: (batch) => itsRuns.publish(batch),
    confirm: (acknowledged) => itsRuns.confirm(acknowledged),
  };
}

/** The openings of a lane, one after the other. */
class LaneRuns<P> {
  readonly #options: LaneOptions<P>;
  /** Acknowledged, and not yet as safe as it has to be, in their order. */
  readonly #held = new Map<Batch<P>, AcknowledgedBatch<P>>();
  /** How many events of earlier openings are there, as far as is known. */
  #before = 0;
  #opened: LaneRun<P> | undefined;
  #opened$: Observable<LaneRun<P>>;
  /** The one that is open, once what is held is there. */
  #ready: LaneRun<P> | undefined;
  #ready$: Observable<LaneRun<P>>;

  constructor(options: LaneOptions<P>) {
    this.#options = options;
    this.#opened$ = this.#opening();
    this.#ready$ = this.#sendingHeld(this.#opened$);
  }

  get opened$(): Observable<LaneRun<P>> {
    return this.#opened$;
  }

  publish(batch: Batch<P>): Observable<AcknowledgedBatch<P>> {
    if (this.#held.size === 0 && this.#ready?.hasRested()) {
      this.#before += this.#ready.events;
      this.#beginAnew();
    }
    const published$ =
      this.#ready?.publish(batch) ?? this.#ready$.pipe(concatMap((run) => run.publish(batch)));
    if (!this.#options.holdsUnconfirmed) return published$;
    return published$.pipe(tap((acknowledged) => this.#held.set(batch, acknowledged)));
  }

  confirm(acknowledged: AcknowledgedBatch<P>): Observable<unknown> {
    return this.#ready$.pipe(
      concatMap((run) =>
        run.confirm(acknowledged).pipe(
          // On a connection of its own it may find, late, what has come after it: the next run is mine.
          catchError((error) =>
            throwError(() => (run === this.#opened ? error : sentAnew(this.#options.keys.state))),
          ),
        ),
      ),
      tap(() => {
        // One that is not held was there already when this run began, before all that is.
        if (!this.#held.has(acknowledged.batch)) return;
        for (const batch of this.#held.keys()) {
          this.#held.delete(batch);
          if (batch === acknowledged.batch) break;
        }
      }),
    );
  }

  #opening(): Observable<LaneRun<P>> {
    const { begin, retry, opened } = this.#options;
    return begin().pipe(
      retry,
      map((begun) => new LaneRun(this.#options, begun, (at, left) => this.#lost(at, left))),
      tap((run) => {
        this.#opened = run;
        opened(run);
      }),
      share({ connector: () => new ReplaySubject(1), resetOnComplete: false, resetOnError: false }),
    );
  }

  /** In their order, and before what comes after them. What fails is asked for again by who waits for it. */
  #sendingHeld(opened$: Observable<LaneRun<P>>): Observable<LaneRun<P>> {
    const send = (run: LaneRun<P>) => concat(...Array.from(this.#held.keys(), (batch) => run.publish(batch)));
    return opened$.pipe(
      concatMap((run) => send(run).pipe(ignoreElements(), endWith(run))),
      tap((run) => {
        this.#ready = run;
      }),
      share({ connector: () => new ReplaySubject(1), resetOnComplete: false }),
    );
  }

  #beginAnew(): void {
    this.#opened = undefined;
    this.#ready = undefined;
    this.#opened$ = this.#opening();
    this.#ready$ = this.#sendingHeld(this.#opened$);
  }

  /** Several batches find out, and one that was sent before it may find out late. */
  #lost(run: LaneRun<P>, left: Left | undefined): RxaddError {
    const { keys, lost: tell, warned } = this.#options;
    if (this.#opened === run) {
      let again = 0;
      for (const [batch, { published }] of this.#held) {
        // By this run's number: an earlier one had another.
        const sequence = run.acknowledgedAs(batch);
        if (sequence === undefined) continue;
        if (left !== undefined && sequence <= left.sequence) this.#held.delete(batch);
        else again += published.length;
      }
      const stays = left === undefined ? 0 : this.#before + left.events;
      const lost = this.#before + run.events - stays - again;
      this.#before = stays;
      // First: whoever is told may make the source go on.
      this.#beginAnew();
      if (run.mayHaveExpired()) warned(expired(keys.state));
      else if (lost > 0) tell(lost);
    }
    return sentAnew(keys.state);
  }
}

function expired(state: string): string {
  return `${state}: nothing was heard of Redis for so long that the state of this run has expired: what was on its way is sent again, and may be there twice`;
}
