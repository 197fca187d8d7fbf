import { Subject, type Subscription, tap } from "rxjs";
import {
  type Checkpoint,
  fanOut,
  positionsIn,
  redisSink,
  replicate,
  type SinkStatus,
  type Source,
} from "../../src/index.ts";
import type { LogEvent } from "../kit/load/forgettingLog.ts";
import type { Bed, Place } from "./sourceBeds.ts";
import type { Policy } from "./sourceHistory.ts";

/** One life of the process. */
export interface Life {
  readonly errors: readonly unknown[];
  /** Told of whatever a sink says. */
  readonly told$: Subject<void>;
  readonly running: Subscription;
  /** Why a sink is behind; undefined: it is not. */
  readonly behind: (sink: number) => Error | undefined;
  /** The furthest position that the source has told, of an event or without one. */
  readonly newest: () => number;
  /** How far a sink has come; undefined: it has no position. */
  readonly reached: (sink: number) => number | undefined;
}

/** How a process is set up. */
export interface Setting {
  readonly policy: Policy;
  readonly places: readonly Place[];
  readonly source: Source<LogEvent, number>;
  readonly adopt: boolean;
  /** The log that the positions name; undefined: none. */
  readonly log: string | undefined;
  /** Told of each checkpoint, with the last event that it counts, and of what is wrong with it by itself. */
  readonly checkpoint: (position: number, counted: LogEvent | undefined) => void;
  readonly wrong: (what: string) => void;
}

/** Starts a process. */
export function startLife(
  bed: Bed,
  { policy, places, source, adopt, log, checkpoint, wrong }: Setting,
): Life {
  const errors: unknown[] = [];
  const told$ = new Subject<void>();
  const behind = new Map<number, Error>();
  const reached = new Map<number, number>();
  const time = bed.scheduler && { scheduler: bed.scheduler };
  const retry = { initialMs: 10, maxMs: 100, jitter: 0 };

  function said(sink: number, status: SinkStatus): void {
    if (status.state === "opened") {
      const { position } = status;
      if (position === undefined) reached.delete(sink);
      else reached.set(sink, Number(position));
    }
    if (status.state === "rewound") reached.delete(sink);
    if (status.state === "behind") behind.set(sink, status.cause);
    told$.next();
  }

  const sinks = places.map((place) =>
    redisSink<LogEvent, number>({
      ...{ id: place.id, stream: place.stream, adopt, retry, ...time },
      ...(log !== undefined && { positions: positionsIn<number>(log) }),
      required: policy !== "optional" || place.sink === 0,
      buffer: { maxEvents: place.sink === 0 ? 20_000 : 20 },
      status: { next: (status) => said(place.sink, status) },
      metrics: {
        published: () => {},
        buffered: () => {},
        status: () => {},
        checkpoint: ({ position }) => {
          if (position !== undefined) reached.set(place.sink, Number(position));
          told$.next();
        },
      },
      ...bed.target(place),
    }),
  );
  const [only] = sinks;
  const rule = policy === "quorum" ? { quorum: 2 } : policy === "all" ? "all" : "required";
  const many = () => fanOut(sinks, rule, { patienceMs: bed.patienceMs, ...time });
  const sink = only !== undefined && policy === "one" ? only : many();

  /** What was given to the sinks since the source was opened, and how much of it is safe. */
  let given: LogEvent[] = [];
  /** Where a sink stood that was further on than the source began: that far it tells at once, before all of it is counted. */
  let furthest = Number.NEGATIVE_INFINITY;
  let newest = Number.NEGATIVE_INFINITY;
  let openings = 0;
  let safe = 0;
  let last = Number.NEGATIVE_INFINITY;
  const counted = Object.assign((...opening: Parameters<typeof source>) => {
    // Also where only places without an event were told: what stands before them is not told again.
    openings += given.length === 0 && last === Number.NEGATIVE_INFINITY ? 0 : 1;
    given = [];
    newest = Number.NEGATIVE_INFINITY;
    told$.next();
    furthest = opening[2] ?? opening[0] ?? furthest;
    return source(...opening).pipe(
      tap((event) => {
        given.push(event);
        tell(event.position);
      }),
    );
  }, told(source));

  function tell(position: number): void {
    newest = Math.max(newest, position);
  }

  /** What goes beside the events of a source, and counts as told as well. */
  function told({ acknowledge, passed }: Source<LogEvent, number>) {
    return { ...(acknowledge && { acknowledge }), ...(passed && { passed: passed.pipe(tap(tell)) }) };
  }

  function look(at: Checkpoint<number>): void {
    safe += at.events;
    const { position } = at;
    if (position === undefined) return;
    if (position < last) wrong(`a checkpoint goes back from ${last} to ${position}`);
    last = position;
    const upTo = given.filter((event) => event.position <= position).length;
    // After it has gone back it tells only what is new.
    if (openings === 0 && ((position > furthest && safe < upTo) || safe > given.length))
      wrong(`a checkpoint at ${position} says ${safe} events of ${upTo} to ${given.length}`);
    checkpoint(position, openings === 0 ? given[safe - 1] : undefined);
  }

  const running = replicate({ source: counted, sink, retry, ...time }).subscribe({
    next: look,
    error: (error) => {
      errors.push(error);
      told$.next();
    },
  });
  return {
    errors,
    told$,
    running,
    newest: () => newest,
    behind: (sink) => behind.get(sink),
    reached: (sink) => reached.get(sink),
  };
}
