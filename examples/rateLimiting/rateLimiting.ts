// Each instance decides at once whether a user may make one more request, by what all instances have counted.
// Counts travel as events, ten times a second; while Redis is away an instance goes by what it knows itself.
import { randomUUID } from "node:crypto";
import { type Flow, redisSink } from "rxadd";
import { streamEntries } from "rxadd/consumer";
import {
  BehaviorSubject,
  bufferTime,
  defer,
  filter,
  fromEvent,
  ignoreElements,
  map,
  merge,
  NEVER,
  type Observable,
  Subject,
  takeUntil,
  tap,
} from "rxjs";

/** A request that was let pass, and in which window of time. */
interface Passed {
  readonly user: string;
  readonly window: number;
}

/** What one run of an instance has let pass. */
interface Told {
  readonly run: string;
  readonly requests: readonly Passed[];
}

/**
 * `allows` tells whether a user may make one more request, and counts it; it works while `sharing$` is subscribed to, which
 * completes when `until` has emitted and all counts are told.
 */
export function rateLimiter(
  uri: string,
  instance: string,
  limit: number,
  until: Observable<unknown> = NEVER,
  windowMs = 60_000,
) {
  const run = randomUUID();
  const stream = "limits.events";
  const passed = new Subject<Passed>();
  const flow = new BehaviorSubject<Flow>("resume");
  const windowNow = () => Math.floor(Date.now() / windowMs);
  let current = { window: 0, counts: new Map<string, number>() };

  function countsOf(window: number): Map<string, number> {
    if (window > current.window) current = { window, counts: new Map() };
    return window === current.window ? current.counts : new Map();
  }

  function add({ user, window }: Passed): void {
    const counts = countsOf(window);
    counts.set(user, (counts.get(user) ?? 0) + 1);
  }

  const telling$ = passed.pipe(
    takeUntil(until),
    bufferTime(100),
    // When Redis is away for so long that memory fills, the others need not know any more.
    filter((requests) => requests.length > 0 && flow.value === "resume"),
    map((requests): Told => ({ run, requests })),
    redisSink({ id: `limits-${instance}`, uri, stream, flow, trim: { maxAgeMs: 2 * windowMs } }),
  );
  const hearing$ = defer(() =>
    streamEntries<Told>({ uri, stream, from: `${Date.now() - windowMs}`, until }),
  ).pipe(
    filter(({ event }) => event.run !== run),
    tap(({ event }) => event.requests.forEach(add)),
  );

  return {
    sharing$: merge(telling$, hearing$).pipe(ignoreElements()),
    allows: (user: string): boolean => {
      const request = { user, window: windowNow() };
      if ((countsOf(request.window).get(user) ?? 0) >= limit) return false;
      add(request);
      passed.next(request);
      return true;
    },
  };
}

if (process.argv[1] === import.meta.filename) {
  const uri = process.env.REDIS_URI ?? "redis://localhost:6379";
  const stop$ = fromEvent(process, "SIGINT");
  const { allows, sharing$ } = rateLimiter(uri, process.env.INSTANCE ?? "one", 10, stop$);
  sharing$.subscribe({ complete: () => process.stdin.destroy() });
  process.stdin.on("data", (line) => console.log(allows(`${line}`.trim()) ? "allowed" : "not allowed"));
}
