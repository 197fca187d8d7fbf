import { BehaviorSubject, concatMap, from, lastValueFrom, map, Observable, range, take, toArray } from "rxjs";
import { beforeEach, describe, expect, it } from "vitest";
import {
  type Checkpoint,
  fromIterable,
  redisSink,
  replicate,
  type SinkOptions,
  type SinkStatus,
  type Source,
  type Transaction,
} from "../../src/index.ts";
import { randomOf } from "../faults/harness/random.ts";
import { readEvents } from "../kit/load/tally.ts";
import { failureOf } from "../kit/program/failureOf.ts";
import { aCluster } from "../kit/servers/aCluster.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

interface Numbered {
  readonly n: number;
  readonly position: number;
  readonly shard: number;
}

const bed = aCluster();
beforeEach(() => Promise.all(bed().nodes.map(({ client }) => client.flushall())));

const ledger = "rxadd:orders";
const shards = 10;
const stateOf = (shard: number) => `{orders.${shard}}:rxadd:orders`;

function event(n: number): Numbered {
  return { n, position: n, shard: n % shards };
}

/** As many events of one transaction share a position. */
const together = 7;

function eventOfTransaction(n: number): Numbered & { readonly transaction: Transaction } {
  const position = Math.ceil(n / together);
  return { ...event(n), position, transaction: { id: `t${position}`, last: n % together === 0 } };
}

function* numbered(after: number, last: number): Iterable<Numbered> {
  for (let n = after + 1; n <= last; n += 1) yield event(n);
}

function* transactions(after: number, last: number): Iterable<Numbered> {
  for (let n = after * together + 1; n <= last; n += 1) yield eventOfTransaction(n);
}

/** Numbers up to `last`, from where it is opened; remembers where that was. */
function numbers(
  last: number,
  events = numbered,
): Source<Numbered, number> & { readonly opened: (number | undefined)[] } {
  const opened: (number | undefined)[] = [];
  const source: Source<Numbered, number> = (at, flow) => {
    opened.push(at);
    return fromIterable(events(at ?? 0, last), flow);
  };
  return Object.assign(source, { opened });
}

function run(
  source: Source<Numbered, number>,
  settings: Partial<SinkOptions<Numbered, number>> = {},
): Observable<Checkpoint<number>> {
  const options = { id: "orders", connection: bed().client, stream: "orders.${shard}", ...settings };
  return replicate({
    source,
    sink: redisSink<Numbered, number>(options as SinkOptions<Numbered, number>),
    retry: { initialMs: 1, maxMs: 1 },
  });
}

async function all(source: Source<Numbered, number>, settings?: Partial<SinkOptions<Numbered, number>>) {
  return lastValueFrom(run(source, settings).pipe(toArray()));
}

/** Every number up to `last` that was there is in its stream once, in order. */
async function expectExactly(last: number, isThere = (_n: number) => true): Promise<void> {
  for (let shard = 0; shard < shards; shard += 1) {
    const found = (await readEvents(bed().client, `orders.${shard}`)).map((text) => JSON.parse(text).n);
    const expected = Array.from({ length: last }, (_, index) => index + 1).filter(
      (n) => n % shards === shard && isThere(n),
    );
    expect(found, `orders.${shard}`).toEqual(expected);
  }
}

/** Resolves when the ledger stands there. */
function until(position: number): Promise<unknown> {
  return waitUntil(async () => (await bed().client.hget(ledger, "position")) === `${position}`);
}

/** Remembers what stands under some keys of one slot, and brings it back in one step, as a failover does. */
async function remember(...keys: readonly string[]): Promise<() => Promise<void>> {
  const dumps = await Promise.all(keys.map((key) => bed().client.dumpBuffer(key)));
  return async () => {
    const going = bed().client.multi();
    for (const [index, key] of keys.entries()) {
      const dump = dumps[index];
      if (dump === undefined || dump === null) going.del(key);
      else going.restore(key, 0, dump, "REPLACE");
    }
    await going.exec();
  };
}

const laneOf = (shard: number) => [`orders.${shard}`, stateOf(shard), `${stateOf(shard)}:mark`];

describe("a sink whose computed streams stand on several nodes", () => {
  it("goes on where all its streams are", async () => {
    const source = numbers(3000);

    await all(source);
    const checkpoints = await all(source);

    expect(source.opened).toEqual([undefined, 3000]);
    expect(checkpoints).toEqual([]);
    expect(await bed().client.hget(ledger, "position")).toBe("3000");
    await expectExactly(3000);
  });

  it("goes on where the stream is that has lost most", async () => {
    await all(numbers(1000));
    const [third, seventh] = [await remember(...laneOf(3)), await remember(...laneOf(7))];
    await all(numbers(2000));
    await third();
    await seventh();
    const source = numbers(3000);

    const checkpoints = await all(source);

    expect(source.opened).toEqual([993]);
    expect(checkpoints[0]?.position, "checkpoints go on").toBeGreaterThan(2000);
    await expectExactly(3000);
  });

  it("goes on before a stream's first event when all of it is lost", async () => {
    await all(withoutStream(numbers(500), 6));
    await all(numbers(1000));
    await bed().client.del(...laneOf(6));
    const source = numbers(1500);

    await all(source);

    // How far all streams were together when its first event came.
    expect(source.opened).toEqual([expect.closeTo(502.5, -1)]);
    await expectExactly(1500, (n) => n > 500 || n % shards !== 6);
  });

  it("believes an older ledger that a failover brings back, and none of it twice", async () => {
    await all(numbers(1000));
    const [own, fourth] = [await remember(ledger), await remember(...laneOf(4))];
    await all(numbers(2000));
    await own();
    await fourth();
    const source = numbers(3000);

    await all(source);

    expect(source.opened).toEqual([1000]);
    await expectExactly(3000);
  });

  it("opens no source that keeps a mark of its own without saying where, once it has been told of a checkpoint", async () => {
    const forgets = forgetful(1000);
    await all(forgets);
    const rollback = await remember(...laneOf(5));
    forgets.reach(2000);
    await all(forgets);
    await rollback();
    forgets.reach(3000);

    const first = await failure(run(forgets));
    const again = await failure(run(forgets));

    expect([first, again]).toEqual(["gone: 996 to 2000", "gone: 996 to 2000"]);
  });

  it("refuses at every start to go on without a ledger under which streams were written", async () => {
    await all(numbers(1000));
    await bed().client.del(ledger);
    const source = numbers(2000);

    const first = await failureOf(run(source));
    const again = await failureOf(run(source));
    expect([first._tag, again._tag]).toEqual(["ProducerStateMissing", "ProducerStateMissing"]);

    await all(source, { adopt: true });
    await all(source);
    expect(source.opened).toEqual([undefined, undefined, undefined, 2000]);
    await expectExactly(2000);
  });

  it("goes on with the streams of a sink that kept no ledger, each of which leaves out what it has", async () => {
    const options = { id: "orders", connection: bed().client, stream: "orders.${shard}" };
    await lastValueFrom(range(1, 1000).pipe(map(event), redisSink(options)));
    expect(await bed().client.exists(ledger)).toBe(0);
    const source = numbers(2000);

    await all(source);
    await all(source);

    expect(source.opened).toEqual([undefined, 2000]);
    await expectExactly(2000);
  });

  it("fences the writer before it, also where that one has nothing to publish", async () => {
    const last = new BehaviorSubject(10);
    const older = failureOf(run(live(last)));
    await until(10);

    await all(numbers(20));
    last.next(21);

    expect((await older)._tag).toBe("Fenced");
    await expectExactly(20);
  });

  it.each([
    { what: "alone", groups: () => [laneOf(1)] },
    { what: "together with the ledger", groups: () => [[ledger], laneOf(1)] },
  ])("notices what a stream has lost $what although its lane was closed meanwhile", async ({ groups }) => {
    const last = new BehaviorSubject(3);
    const statuses: SinkStatus["state"][] = [];
    const done = all(live(last), {
      // Of the ten streams it may keep four in mind.
      buffer: { maxEvents: 8 },
      status: { next: ({ state }) => statuses.push(state) },
    });
    await until(3);
    const back = await Promise.all(groups().map((keys) => remember(...keys)));
    last.next(20);
    await until(20);
    for (const restore of back) await restore();

    last.next(21);
    await until(21);
    last.complete();
    await done;

    expect(statuses).toContain("rewound");
    await expectExactly(21);
  });

  it("refuses positions without an order, of which nobody could tell which streams have them", async () => {
    const source: Source<{ position: string; shard: number }, string> = () =>
      from(["a", "b"]).pipe(map((position) => ({ position, shard: 1 })));
    const sink = redisSink<{ position: string; shard: number }, string>({
      id: "orders",
      connection: bed().client,
      stream: "orders.${shard}",
    });

    const error = await failureOf(replicate({ source, sink }));

    expect(error._tag).toBe("PositionInvalid");
    expect(error.message).toContain("expected positions with an order");
    expect(await bed().client.exists("orders.1")).toBe(0);
  });

  it.each([
    { what: "events", events: numbered, unit: 1 },
    { what: "transactions over several streams", events: transactions, unit: together },
  ])("keeps what is acknowledged of $what whatever of it Redis loses", async ({ events, unit }) => {
    const random = randomOf(Number(process.env.RXADD_SEED ?? Date.now() % 1_000_000));
    for (let round = 0; round < 8; round += 1) {
      await Promise.all(bed().nodes.map(({ client }) => client.flushall()));
      let last = 0;
      /** What has stood in each slot, one after the other. */
      const slotOf = (keys: readonly string[]) => ({ keys, back: [] as (() => Promise<void>)[] });
      const slotOfLedger = slotOf([ledger]);
      const slots = range0(shards).map((shard) => slotOf(laneOf(shard)));
      /** Goes back in a slot; a failover never goes forth. */
      async function lose({ back }: typeof slotOfLedger): Promise<void> {
        back.splice(random.between(0, back.length) + 1);
        await back.at(-1)?.();
      }
      for (let start = 0; start < 7; start += 1) {
        const isLast = start === 6;
        last += random.between(1, 300 / unit) * unit;
        const checkpoints$ = run(numbers(last, events), {
          batch: { maxEvents: random.between(1, 30) },
          buffer: { maxEvents: random.oneOf(20, 200, 2000) },
        });
        const crashAfter = random.between(1, 6);
        const until$ = checkpoints$.pipe(
          take(isLast ? Number.POSITIVE_INFINITY : crashAfter),
          concatMap(async () => {
            if (!isLast && random.between(0, 2) === 0) await lose(random.oneOf(slotOfLedger, ...slots));
          }),
        );
        await lastValueFrom(until$, { defaultValue: undefined });
        // Not the ledger's first: without one it would refuse.
        for (const slot of [slotOfLedger, ...slots]) {
          if (random.between(0, 2) === 0) slot.back.push(await remember(...slot.keys));
          if (!isLast && random.between(0, 3) === 0) await lose(slot);
        }
      }
      await expectExactly(last);
    }
  });
});

/** Numbers up to `last` and on as that grows; completes with it. */
function live(last: BehaviorSubject<number>): Source<Numbered, number> {
  return (at, flow) =>
    new Observable((subscriber) => {
      let n = at ?? 0;
      let isPaused = false;
      function emit(): void {
        while (!isPaused && n < last.value) {
          n += 1;
          subscriber.next(event(n));
        }
      }
      subscriber.add(
        flow.subscribe((signal) => {
          isPaused = signal === "pause";
          emit();
        }),
      );
      subscriber.add(last.subscribe({ next: emit, complete: () => subscriber.complete() }));
    });
}

/** Forgets what it was told is safe, as a replication slot does, and says so when it is asked for that. */
function forgetful(first: number) {
  let last = first;
  let mark = 0;
  const source = (at: number | undefined) => {
    const from = at ?? mark;
    if (from < mark) throw new Error(`gone: ${from + 1} to ${mark}`);
    return range(from + 1, last - from).pipe(map(event));
  };
  return Object.assign(source, {
    acknowledge: (position: number) => {
      mark = Math.max(mark, position);
    },
    reach: (now: number) => {
      last = now;
    },
  });
}

async function failure(result$: Observable<unknown>): Promise<string> {
  return lastValueFrom(result$).then(
    () => "none",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

function range0(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/** Without the events of one stream. */
function withoutStream(source: Source<Numbered, number>, without: number): Source<Numbered, number> {
  return (at, flow) => source(at, flow).pipe(concatMap((one) => (one.shard === without ? [] : [one])));
}
