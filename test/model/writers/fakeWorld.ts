import { concatMap, defer, delayWhen, filter, Observable, Subject, take, VirtualTimeScheduler } from "rxjs";
import { rxaddError } from "../../../src/errors/rxaddError.ts";
import { type FakeServer, openFake } from "../../../src/redis/publish/fakeServer.ts";
import { fakeRedis } from "../../../src/testing/index.ts";
import type { Direction } from "../../kit/network/tcpProxy.ts";
import type { History } from "./step.ts";
import type { Content, Keys, Line, World } from "./world.ts";
import { sinkId } from "./writer.ts";

/** How long a step takes, in ms of the virtual clock. */
const stepMs = 1000;

/** The server in memory, in virtual time: each step of the history begins at a time of its own. */
export function fakeWorld(streams: number, { steps }: History): World {
  const state = streams === 1 ? `{s}:rxadd:${sinkId}` : `rxadd:${sinkId}`;
  const keys: Keys = {
    streams: Array.from({ length: streams }, (_, index) => (streams === 1 ? "s" : `s${index}`)),
    states: [state],
    marks: [`${state}:mark`],
  };
  const clock = new VirtualTimeScheduler(undefined, 0);
  const replies = steps
    .map((step) => (step.do === "lose" ? `${step.batches}` : "o"))
    .join(` ${stepMs - 1}ms `);
  const redis = fakeRedis({ scheduler: clock, latencyMs: 2, replies: `o ${stepMs - 1}ms ${replies}` });

  let now = 0;

  function runTo(frame: number): void {
    // The clock stands at what it did last.
    clock.schedule(() => {}, Math.max(0, frame - clock.frame));
    clock.maxFrames = Math.max(frame, clock.frame);
    clock.flush();
  }

  const contents = () => keys.streams.map((key) => redis.events(key).map(Number));

  async function remove(...removed: readonly string[]): Promise<readonly Content[]> {
    const before = contents();
    for (const key of removed) redis.del(key);
    return before;
  }

  const flush = () => remove(...keys.states, ...keys.marks, ...keys.streams);

  return {
    keys,
    settings: { scheduler: clock },
    connect: async () => connect(redis),
    contents: async () => contents(),
    positions: async () => {
      const position = streams === 1 ? redis.position(sinkId, "s") : redis.position(sinkId);
      return [position === undefined ? undefined : Number(position)];
    },
    astray: async () => undefined,
    until: async (isSo) => {
      for (let waited = 0; !isSo() && waited < stepMs / 2; waited += 5) runTo(clock.frame + 5);
      return isSo();
    },
    // Longer than a transaction of which nobody says the end is waited for.
    pass: async () => runTo(clock.frame + 50),
    begin: async (index) => {
      now = (index + 1) * stepMs;
      runTo(now - 1);
    },
    flush,
    restart: flush,
    lose: async () => runTo(now),
    lag: async () => {},
    failover: async () => contents(),
    remove: (key) => remove(key),
    exhaust: async () => {},
    close: async () => {},
  };
}

/** A line whose requests and replies can be held. */
function connect(redis: FakeServer): Line {
  const shut = new Set<Direction>();
  const released$ = new Subject<void>();
  const cut$ = new Subject<void>();

  /** Passes at once, or once it is let. */
  function passing<A>(direction: Direction, value$: Observable<A>): Observable<A> {
    return defer(() =>
      shut.has(direction)
        ? released$.pipe(
            filter(() => !shut.has(direction)),
            take(1),
            concatMap(() => value$),
          )
        : value$,
    );
  }

  /** What was sent is done, also when nobody listens any more; who does learns it, unless the line is cut. */
  function exchange<A>(request$: Observable<A>): Observable<A> {
    return new Observable((subscriber) => {
      const isFree = () => !shut.has("replies");
      const answered$ = passing("requests", request$).pipe(
        delayWhen(() => (isFree() ? [undefined] : released$.pipe(filter(isFree), take(1)))),
      );
      answered$.subscribe({
        next: (answer) => subscriber.next(answer),
        error: (error) => subscriber.error(error),
        complete: () => subscriber.complete(),
      });
      subscriber.add(cut$.subscribe(() => subscriber.error(rxaddError("ConnectionLost", "the line is cut"))));
    });
  }

  return {
    server: {
      connection: {
        [openFake]: {
          ...redis[openFake],
          publishing: (options) => {
            const connection = redis[openFake].publishing(options);
            const { publishPort } = connection;
            return {
              ...connection,
              publishPort: {
                open: (lane, owner, adopt) => exchange(publishPort.open(lane, owner, adopt)),
                publish: (lane, batch) => exchange(publishPort.publish(lane, batch)),
              },
            };
          },
        },
      },
    },
    hold: (direction) => shut.add(direction),
    release: () => {
      shut.clear();
      released$.next();
    },
    isHeld: () => shut.size > 0,
    cut: () => cut$.next(),
    close: async () => {},
  };
}
