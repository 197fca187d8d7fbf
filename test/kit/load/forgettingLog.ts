import { Observable, Subject, Subscription } from "rxjs";
import type { Flow, Source, Transaction } from "../../../src/index.ts";
import { heedFlow } from "../../../src/sources/heedFlow.ts";

/** An event of a {@link ForgettingLog}. */
export interface LogEvent {
  readonly id: string;
  readonly position: number;
  readonly transaction?: Transaction;
}

/** What a log says that no longer has what it is asked for. */
export class Unavailable extends Error {
  readonly _tag = "PositionUnavailable";
}

/**
 * A log that forgets what was acknowledged, and the mark of how far that is, as PostgreSQL and its slot do. Both outlive the
 * processes that read it: each of these has a `source()` of its own.
 */
export class ForgettingLog {
  /** Everything up to here is forgotten; undefined: there is no mark, as before a first run. */
  mark: number | undefined;
  /** How often the log was made anew; with each time positions begin again. */
  generation = 0;
  #end = 0;
  #events: LogEvent[] = [];
  readonly #keeps: number;
  readonly #appended = new Subject<LogEvent>();
  readonly #moved = new Subject<void>();

  /** @param keeps - so many of the newest positions it remembers longer than it has to */
  constructor({ keeps = 0 } = {}) {
    this.#keeps = keeps;
  }

  /** The newest position that there is. */
  get end(): number {
    return this.#end;
  }

  append(): LogEvent {
    this.#end += 1;
    const event = { id: `${this.#name()}e${this.#end}`, position: this.#end };
    this.#add([event]);
    return event;
  }

  /** A transaction of so many events, all at one position. */
  commit(events: number): readonly LogEvent[] {
    this.#end += 1;
    const position = this.#end;
    const id = `${this.#name()}t${position}`;
    const all = Array.from({ length: events }, (_, index) => ({
      ...{ id: `${id}.${index + 1}`, position },
      transaction: { id, total_order: index + 1, last: index + 1 === events },
    }));
    this.#add(all);
    return all;
  }

  #name(): string {
    return this.generation === 0 ? "" : `${this.generation}`;
  }

  /** All of a transaction are in the log before one is read. */
  #add(events: readonly LogEvent[]): void {
    // What is there before the mark is made is nobody's.
    if (this.mark !== undefined) this.#events.push(...events);
    for (const event of events) this.#appended.next(event);
  }

  /** Goes on without an event, as when other tables change. */
  idle(): void {
    this.#end += 1;
    this.#moved.next();
  }

  /** Loses the mark, and with it what it held. */
  dropMark(): void {
    this.mark = undefined;
    this.#events = [];
  }

  /** Another log takes its place, and its positions begin again. */
  makeAnew(): void {
    this.dropMark();
    this.generation += 1;
    this.#end = 0;
  }

  #isGone(from: number | undefined, reached: number | undefined): boolean {
    if (this.mark === undefined) return reached !== undefined;
    return from === undefined || from < this.mark;
  }

  #forget(acknowledged: number): void {
    const position = acknowledged - this.#keeps;
    if (this.mark !== undefined && position <= this.mark) return;
    this.mark = position;
    this.#events = this.#events.filter((event) => event.position > position);
  }

  /**
   * What one process opens.
   *
   * @param remembers - false: only what this process itself had forgotten is refused, and nothing else is compared
   * @param begun - told where it begins that has no mark, or accepts a hole
   */
  source({
    acceptHole = false,
    remembers = true,
    begun = (_mark: number, _isAccepted: boolean): void => {},
  } = {}): Source<LogEvent, number> {
    let forgotten = 0;
    /** What was decided before this process began is no word on what is lost while it runs. */
    let accepts = acceptHole;
    const passed = new Subject<number>();
    let last: number | undefined;
    let acknowledged: number | undefined;

    const pass = (): void => {
      const isSettled = last === undefined || (acknowledged !== undefined && acknowledged >= last);
      if (!isSettled || !passed.observed || (last !== undefined && last >= this.#end)) return;
      last = this.#end;
      passed.next(this.#end);
    };

    const begin = (from: number | undefined, reached: number | undefined): void => {
      const isGone = remembers ? this.#isGone(from, reached) : forgotten > (from ?? 0);
      if (isGone && !accepts) throw new Unavailable("the log no longer has it");
      accepts = false;
      const mark = this.mark ?? this.#end;
      const hadMark = this.mark !== undefined;
      this.mark = mark;
      last = from;
      acknowledged = from;
      if (!isGone && from !== undefined) return;
      if (isGone || !hadMark) begun(mark, isGone);
      last = this.mark;
      passed.next(mark);
    };

    const read = (
      from: number | undefined,
      flow: Observable<Flow>,
      reached: number | undefined = from,
    ): Observable<LogEvent> =>
      new Observable<LogEvent>((subscriber) => {
        try {
          begin(from, reached);
        } catch (error) {
          subscriber.error(error);
          return;
        }
        const emit = (event: LogEvent): void => {
          if (from !== undefined && event.position <= from) return;
          last = event.position;
          subscriber.next(event);
        };
        for (const event of [...this.#events]) emit(event);
        const reading = new Subscription();
        reading.add(this.#appended.subscribe(emit));
        reading.add(this.#moved.subscribe(pass));
        return reading;
      }).pipe(heedFlow(flow, { next: () => {} }));

    const acknowledge = (position: number): void => {
      acknowledged = position;
      forgotten = position;
      this.#forget(position);
    };
    return Object.assign(read, { acknowledge, passed });
  }
}
