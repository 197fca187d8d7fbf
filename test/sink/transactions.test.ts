import fc from "fast-check";
import { concatMap, delay, delayWhen, first, from, of, Subscription, VirtualTimeScheduler } from "rxjs";
import { expect, it } from "vitest";
import { type Checkpoint, redisSink, replicate, type Source } from "../../src/index.ts";
import { fakeRedis } from "../../src/testing/index.ts";

interface Event {
  /** Tells it from every other one. */
  readonly name: string;
  /** What it is about: a transaction may change it several times. */
  readonly id: string;
  /** Undefined: it has none, as something between the changes of a transaction may. */
  readonly position?: number;
  readonly transaction?: { readonly id: string; readonly last?: boolean };
  /** How long the source is silent before it, in ms. */
  readonly afterMs: number;
}

/** A transaction of the source: how its events stand, and what the source says of its end. */
const transactions = fc.array(
  fc.record({
    kind: fc.constantFrom("single", "shared", "increasing", "pairs"),
    isMarked: fc.boolean(),
    /** Before every so many events there is one without a position. */
    unplacedEvery: fc.constantFrom(100, 3, 2),
    // Beyond 10 ms a transaction without marks counts as over.
    silencesMs: fc.array(fc.constantFrom(0, 0, 0, 3, 30), { minLength: 1, maxLength: 12 }),
  }),
  { minLength: 1, maxLength: 8 },
);

type Transactions = typeof transactions extends fc.Arbitrary<infer T> ? T : never;

function logOf(given: Transactions): readonly Event[] {
  let position = 0;
  return given.flatMap(({ kind, isMarked, unplacedEvery, silencesMs }, number) => {
    const isSingle = kind === "single";
    position += 1;
    return silencesMs.slice(0, isSingle ? 1 : undefined).flatMap((afterMs, index, all): Event[] => {
      if (index > 0 && (kind === "increasing" || (kind === "pairs" && index % 2 === 0))) position += 1;
      const last = index === all.length - 1;
      const of = (last: boolean) =>
        !isSingle && { transaction: { id: `t${number}`, ...(isMarked && { last }) } };
      const placed = { name: `${number}.${index}`, id: `${index % 2}`, position, afterMs, ...of(last) };
      const unplaced = { name: "unplaced", id: "unplaced", afterMs: 0, ...of(false) };
      return index % unplacedEvery === unplacedEvery - 1 ? [unplaced, placed] : [placed];
    });
  });
}

it("publishes every event once and in order, however transactions share positions, are split or pause, and whenever the process dies", () => {
  const settings = fc.record({
    batch: fc.record({ maxEvents: fc.integer({ min: 1, max: 6 }) }),
    buffer: fc.record({ maxEvents: fc.integer({ min: 8, max: 40 }) }),
    window: fc.integer({ min: 1, max: 4 }),
  });
  const deathsMs = fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 5 });
  const replies = fc
    .array(fc.constantFrom("o", "-", "-----", "m--o", "x--o", "1", "2"), { maxLength: 20 })
    .map((signs) => `o${signs.join("")}o`);

  fc.assert(
    fc.property(transactions, settings, deathsMs, replies, (given, tuning, deaths, what) => {
      const log = logOf(given);
      const clock = new VirtualTimeScheduler();
      const redis = fakeRedis({ replies: what, scheduler: clock });
      const source: Source<Event, number> = (after, flow) => {
        const resumed = flow.pipe(first((signal) => signal === "resume"));
        const isAfter = ({ position = 0 }: Event) => position > (after ?? 0);
        const isRead = log.some(isAfter) ? log.slice(log.findIndex(isAfter)) : [];
        return from(isRead).pipe(
          concatMap((event) =>
            of(event).pipe(
              delay(event.afterMs, clock),
              delayWhen(() => resumed),
            ),
          ),
        );
      };
      const placed = log.filter(({ position }) => position !== undefined);
      const names = (events: readonly Event[]) => events.map(({ name }) => name);
      const there = () =>
        names(redis.events("orders").map((event) => JSON.parse(event))).filter((name) => name !== "unplaced");
      const isThere = ({ position }: Checkpoint<number>) => {
        const upTo = placed.filter((event) => (event.position ?? 0) <= (position ?? 0));
        expect(there().slice(0, upTo.length)).toEqual(names(upTo));
      };
      /** Goes on until the time has come, or until nothing is left to do; what Redis loses a checkpoint may have covered. */
      const run = (untilMs: number, isLosing: boolean) => {
        const sink = redisSink<Event, number>({
          ...{ id: "shop", connection: redis, stream: "orders", scheduler: clock, retry: { jitter: 0 } },
          ...tuning,
        });
        const process = new Subscription();
        let ended: unknown;
        process.add(
          replicate({ source, sink, retry: { jitter: 0 }, scheduler: clock }).subscribe({
            next: (checkpoint) => isLosing || isThere(checkpoint),
            error: (error) => {
              ended = error;
            },
            complete: () => {
              ended = "done";
            },
          }),
        );
        clock.maxFrames = clock.frame + untilMs;
        clock.flush();
        process.unsubscribe();
        return ended;
      };

      const isLosing = /[12]/.test(what);
      for (const afterMs of deaths) run(afterMs, isLosing);
      run(1e9, isLosing);
      expect(run(1e9, false)).toBe("done");
      expect(there()).toEqual(names(placed));
    }),
    { numRuns: 300 },
  );
});
