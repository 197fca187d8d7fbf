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
  Subject,
  takeUntil,
  tap,
} from "rxjs";

/** Requests that one run of an instance has let pass within a window of time, by their users. */
interface Passed {
  readonly run: string;
  readonly window: number;
  readonly users: readonly string[];
}

/** `allows` tells whether a user may make one more request, and counts it; it works while `sharing$` is subscribed to. */
export function rateLimiter(uri: string, instance: string, limit: number, windowMs = 60_000) {
  const run = randomUUID();
  const stream = "limits.events";
  const passed = new Subject<string>();
  const flow = new BehaviorSubject<Flow>("resume");
  const windowNow = () => Math.floor(Date.now() / windowMs);
  let current = { window: 0, counts: new Map<string, number>() };

  function countsOf(window: number): Map<string, number> {
    if (window > current.window) current = { window, counts: new Map() };
    return window === current.window ? current.counts : new Map();
  }

  function add(window: number, users: readonly string[]): void {
    const counts = countsOf(window);
    for (const user of users) counts.set(user, (counts.get(user) ?? 0) + 1);
  }

  const telling$ = passed.pipe(
    bufferTime(100),
    // When Redis is away for so long that memory fills, the others need not know any more.
    filter((users) => users.length > 0 && flow.value === "resume"),
    map((users): Passed => ({ run, window: windowNow(), users })),
    redisSink({ id: `limits-${instance}`, uri, stream, flow, trim: { maxAgeMs: 2 * windowMs } }),
  );
  const hearing$ = defer(() => streamEntries<Passed>({ uri, stream, from: `${Date.now() - windowMs}` })).pipe(
    filter(({ event }) => event.run !== run),
    tap(({ event }) => add(event.window, event.users)),
  );

  return {
    sharing$: merge(telling$, hearing$).pipe(ignoreElements()),
    allows: (user: string): boolean => {
      if ((countsOf(windowNow()).get(user) ?? 0) >= limit) return false;
      add(windowNow(), [user]);
      passed.next(user);
      return true;
    },
  };
}

if (process.argv[1] === import.meta.filename) {
  const uri = process.env.REDIS_URI ?? "redis://localhost:6379";
  const { allows, sharing$ } = rateLimiter(uri, process.env.INSTANCE ?? "one", 10);
  sharing$.pipe(takeUntil(fromEvent(process, "SIGINT"))).subscribe();
  process.stdin.on("data", (line) => console.log(allows(`${line}`.trim()) ? "allowed" : "not allowed"));
}
