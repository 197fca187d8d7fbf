import { Observable, type SchedulerLike, Subject, type Subscription, tap } from "rxjs";
import {
  type Checkpoint,
  type Flow,
  isRxaddError,
  type RedisSink,
  redisSink,
  replicate,
  type SinkOptions,
} from "../../../src/index.ts";
import type { Log, LogEvent } from "./log.ts";
import type { Way } from "./step.ts";
import type { Line, World } from "./world.ts";

/** What one opening of the source has emitted, and what was said to be safe of it. */
interface Run {
  /** The last event emitted, in the order of the log. */
  last: number;
  /** Of which transaction it is. */
  transaction: string | undefined;
  /** How many were emitted. */
  emitted: number;
  /** How many of them cannot be part of a transaction of which more may come. */
  whole: number;
  /** How many events the checkpoints say are safe. */
  safe: number;
  /** The position of the last checkpoint. */
  position: number | undefined;
}

/** A process that publishes the log. */
export interface Writer {
  readonly name: string;
  readonly line: Line;
  /** The furthest event that it may read. */
  readonly limit: () => number;
  readonly publish: (events: number) => void;
  readonly replay: (events: number) => void;
  /** Its source has no more than it has emitted. */
  readonly finish: () => void;
  readonly die: () => void;
  /** Nothing is on its way: all is safe that has to be, or it has ended, or it is held. */
  readonly isQuiet: () => boolean;
  /** Something may be sent all the same: part of a transaction, or what is held. */
  readonly mayGoOn: () => boolean;
  readonly isAlive: () => boolean;
  /** It has been the owner: in a Cluster one that has published nothing has not. */
  readonly hasOpened: () => boolean;
  /** When it last became the owner, of something in a Cluster: the how manyeth opening of the history that was. */
  readonly opening: () => number;
  /** How it ended; undefined: it has not, or it died. */
  readonly ending: () => "completed" | { readonly error: unknown } | undefined;
  /** How often it was told that it has to go back, or that it is not the owner. */
  readonly told: () => number;
  readonly checkpoints: () => number;
  /** The furthest position of its checkpoints. */
  readonly acknowledged: () => number;
  /** The furthest of those that tell of something new, for which Redis was asked. */
  readonly published: () => number;
}

export interface WriterOptions {
  readonly name: string;
  readonly world: World;
  readonly log: Log;
  readonly way: Way;
  readonly limit: number;
  readonly perBatch: number;
  readonly buffer: number;
  readonly line: Line;
  /** Begins although the producer state is gone and streams stand. */
  readonly adopt?: boolean;
  /** Counts the openings of the history. */
  readonly nextOpening: () => number;
  readonly violated: (what: string) => void;
}

/** Most openings of a source before it counts as going back for ever. */
const mostRuns = 25;

export const sinkId = "w";

/** Where an event goes. */
export function streamOf({ keys: { streams } }: World, n: number): string {
  return streams[n % streams.length] ?? "";
}

export function startWriter(options: WriterOptions): Writer {
  const { name, world, log, way, perBatch, buffer, line, nextOpening, violated } = options;
  const more$ = new Subject<void>();
  const replay$ = new Subject<number>();
  let limit = options.limit;
  let isFinished = false;
  let run: Run | undefined;
  let runs = 0;
  let told = 0;
  let acknowledged = 0;
  let published = 0;
  let count = 0;
  let ending: "completed" | { readonly error: unknown } | undefined;
  let isDead = false;
  let isOpened = false;
  let opening = 0;
  let waiting = 0;
  let emittedMs = 0;
  // Where each stream has a lane of its own an event has to ask for it.
  const opensLate = world.keys.states.length > 1;

  /** Reads the log after a position, as far as it may and as flow allows. */
  function source(from: number | undefined, flow$: Observable<Flow>): Observable<LogEvent> {
    return new Observable((subscriber) => {
      runs += 1;
      if (runs > mostRuns) {
        violated(`${name} goes back for ever`);
        subscriber.error(new Error("for ever"));
        return;
      }
      const start = log.after(from ?? 0) - 1;
      const now: Run = {
        last: start,
        transaction: undefined,
        emitted: 0,
        whole: 0,
        safe: 0,
        position: undefined,
      };
      run = now;
      let isPaused = false;
      let isEmitting = false;

      function emit(): void {
        if (isEmitting) return;
        isEmitting = true;
        while (!isPaused && !subscriber.closed && now.last < limit) {
          // What follows another transaction says that that one is whole.
          const { transaction } = log.at(now.last + 1);
          if (transaction === undefined || transaction.id !== now.transaction) now.whole = now.emitted;
          now.transaction = transaction?.id;
          now.last += 1;
          now.emitted += 1;
          emittedMs = performance.now();
          if (transaction === undefined || transaction.last === true) now.whole = now.emitted;
          subscriber.next(log.at(now.last));
        }
        isEmitting = false;
        if (isFinished && now.last >= limit) subscriber.complete();
      }

      subscriber.add(
        flow$.subscribe((signal) => {
          isPaused = signal === "pause";
          emit();
        }),
      );
      subscriber.add(
        replay$.subscribe((events) => {
          // Where a position can lead: not into the middle of several events at one.
          const { position } = log.at(Math.max(1, now.last - events + 1));
          now.last = log.after(position - 1) - 1;
        }),
      );
      subscriber.add(more$.subscribe(emit));
      emit();
    });
  }

  /** What a checkpoint of one opening says. */
  function check({ position = 0, events, replayed }: Checkpoint<number>): void {
    if (run === undefined) {
      violated(`${name}: a checkpoint before the source was opened`);
      return;
    }
    if (run.position !== undefined && position < run.position)
      violated(`${name}: checkpoint ${position} came after ${run.position}`);
    run.position = position;
    run.safe += events;
    count += 1;
    acknowledged = Math.max(acknowledged, position);
    if (events > replayed) published = Math.max(published, position);
  }

  /** What is told goes back at no time, also where a loss makes the source begin again. */
  let furthest = 0;
  function goesOn({ position = furthest }: Checkpoint<number>): void {
    if (position < furthest) violated(`${name}: told checkpoint ${position} after ${furthest}`);
    furthest = position;
  }

  const flow$ = new Subject<Flow>();
  const scheduler: SchedulerLike | undefined = world.settings.scheduler;
  const retry = { initialMs: 1, maxMs: 8, jitter: 0 };
  // The server is one or the other: TypeScript does not see that through a spread.
  const sink = redisSink<LogEvent, number>({
    id: sinkId,
    stream: world.keys.streams.length === 1 ? streamOf(world, 0) : ({ n }) => streamOf(world, n),
    event: { encode: ({ n }) => `${n}` },
    batch: { maxEvents: perBatch },
    buffer: { maxEvents: buffer },
    retry,
    flow: flow$,
    metrics: {
      buffered: ({ items }) => {
        waiting = items;
      },
      published: () => {},
      checkpoint: () => {},
      status: () => {},
    },
    status: {
      next: (status) => {
        if (status.state === "rewound") told += 1;
        if (status.state === "opened") {
          isOpened = true;
          opening = nextOpening();
        }
      },
    },
    ...(options.adopt && { adopt: true }),
    ...world.settings,
    ...line.server,
  } as SinkOptions<LogEvent, number>);
  const watched: RedisSink<LogEvent, number> = Object.assign(
    (events$: Observable<LogEvent>) => sink(events$).pipe(tap(check)),
    sink,
    { resuming: (from: Parameters<typeof sink.resuming>[0]) => sink.resuming(from).pipe(tap(check)) },
  );

  function checkpoints(): Observable<Checkpoint<number>> {
    switch (way) {
      case "replicate":
        return replicate({ source, sink: watched, retry, ...(scheduler && { scheduler }) }).pipe(tap(goesOn));
      case "resuming":
        return watched.resuming(source);
      case "pipe":
        return watched(source(undefined, flow$));
    }
  }

  const running: Subscription = checkpoints().subscribe({
    error: (error: unknown) => {
      ending = { error };
      told += 1;
      if (!isRxaddError(error)) violated(`${name} ended with ${error}`);
    },
    complete: () => {
      ending = "completed";
    },
  });

  /** Nothing waits but the beginning of a transaction, and nothing has come lately. */
  function isIdle({ emitted, whole }: Run): boolean {
    return waiting <= emitted - whole && performance.now() - emittedMs > 400;
  }

  function isAlive(): boolean {
    return ending === undefined && !isDead;
  }

  return {
    name,
    line,
    limit: () => limit,
    publish: (events) => {
      // It may have gone on where another one has been further.
      limit = Math.max(limit, run?.last ?? 0) + events;
      more$.next();
    },
    replay: (events) => {
      replay$.next(events);
      more$.next();
    },
    finish: () => {
      isFinished = true;
      more$.next();
    },
    die: () => {
      isDead = true;
      running.unsubscribe();
    },
    isQuiet: () => {
      if (!isAlive() || line.isHeld() || world.isStalled?.() === true) return true;
      if (run === undefined || isFinished || !(isOpened || opensLate)) return false;
      // What was told in an earlier run a Cluster's sink does not tell again: then nothing waits any more.
      return run.last >= limit && (run.safe >= run.whole || (opensLate && isIdle(run)));
    },
    mayGoOn: () =>
      line.isHeld() ||
      world.isStalled?.() === true ||
      (isAlive() && run !== undefined && run.emitted > run.whole),
    isAlive,
    hasOpened: () => isOpened,
    opening: () => opening,
    ending: () => ending,
    told: () => told,
    checkpoints: () => count,
    acknowledged: () => acknowledged,
    published: () => published,
  };
}
