import {
  concat,
  filter,
  firstValueFrom,
  from,
  lastValueFrom,
  NEVER,
  type Observable,
  ReplaySubject,
  Subject,
  takeWhile,
  tap,
  throwError,
  toArray,
} from "rxjs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import {
  type Checkpoint,
  type Commit,
  fanOut,
  fromIterable,
  redisSink,
  replicate,
  type SinkOptions,
  type SinkStatus,
  type Source,
} from "../../src/index.ts";
import { tallyStream } from "../kit/load/tally.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

interface Numbered {
  readonly n: number;
  readonly position: number;
}

const stream = "orders.events";
const names = ["one", "two", "three"] as const;
type Name = (typeof names)[number];

let servers: Record<Name, RedisServer>;
beforeAll(async () => {
  const [one, two, three] = await Promise.all([startRedis(), startRedis(), startRedis()]);
  servers = { one, two, three };
});
afterAll(() => Promise.all(Object.values(servers).map(({ stop }) => stop())));
beforeEach(async () => {
  for (const { client } of Object.values(servers)) await client.flushall();
});
afterEach(async () => {
  for (const server of Object.values(servers)) if (!server.isRunning()) await server.start();
});

function sink(name: Name, settings: Partial<SinkOptions<Numbered, number>> = {}) {
  const status = new ReplaySubject<SinkStatus>();
  return Object.assign(
    redisSink<Numbered, number>({
      id: name,
      uri: servers[name].uri,
      stream,
      retry: { initialMs: 5, maxMs: 50 },
      status,
      ...settings,
    }),
    { status },
  );
}

function numbers(count: number): Numbered[] {
  return Array.from({ length: count }, (_, index) => ({ n: index + 1, position: index + 1 }));
}

/** A log of so many events that can be read from anywhere, and that stays open. */
function logOf(count: number): Source<Numbered, number> {
  return (position, flow) => concat(fromIterable(numbers(count).slice(position ?? 0), flow), NEVER);
}

function tally(name: Name, count: number) {
  return tallyStream(servers[name].client, stream, count);
}

const complete = (count: number) => ({ entries: count, lost: 0, duplicates: 0, inversions: 0 });

function firstOf<S extends SinkStatus["state"]>(status: Observable<SinkStatus>, state: S) {
  return firstValueFrom(
    status.pipe(filter((now): now is Extract<SinkStatus, { readonly state: S }> => now.state === state)),
  );
}

describe("fanOut", () => {
  it("publishes each event to every sink, and says how many events became safe", async () => {
    const checkpoints = await lastValueFrom(
      from(numbers(5000)).pipe(fanOut([sink("one"), sink("two")], "all"), toArray()),
    );

    expect(await tally("one", 5000)).toEqual(complete(5000));
    expect(await tally("two", 5000)).toEqual(complete(5000));
    expect(checkpoints.at(-1)).toMatchObject({ position: 5000 });
    expect(checkpoints.reduce((sum, { events }) => sum + events, 0)).toBe(5000);
  });

  /** Publishes while `two` is down, and tells how far the checkpoints come before it is back. */
  async function whileDown(policy: Commit, isRequired: boolean) {
    await servers.two.signal("SIGSTOP");
    const checkpoints: Checkpoint<number>[] = [];
    const running = replicate({
      source: logOf(2000),
      sink: fanOut([sink("one"), sink("two", { required: isRequired }), sink("three")], policy, {
        patienceMs: 50,
      }),
    }).subscribe((checkpoint) => checkpoints.push(checkpoint));
    onTestFinished(() => running.unsubscribe());
    return checkpoints;
  }

  it.each([
    { policy: "required", isRequired: false },
    { policy: { quorum: 2 }, isRequired: true },
  ] as const)("goes on without a sink that is down: $policy", async ({ policy, isRequired }) => {
    const checkpoints = await whileDown(policy, isRequired);

    await waitUntil(() => checkpoints.at(-1)?.position === 2000);

    expect(await tally("one", 2000)).toEqual(complete(2000));
    expect(await tally("three", 2000)).toEqual(complete(2000));
    await servers.two.signal("SIGCONT");
    await waitUntil(async () => (await servers.two.client.xlen(stream)) === 2000);
    expect(await tally("two", 2000)).toEqual(complete(2000));
  });

  it.each([
    { policy: "required", isRequired: true },
    { policy: "all", isRequired: false },
    { policy: { quorum: 3 }, isRequired: true },
  ] as const)("waits for a sink that gates and is down: $policy", async ({ policy, isRequired }) => {
    const checkpoints = await whileDown(policy, isRequired);
    await servers.three.client.ping();
    expect(checkpoints).toEqual([]);

    await servers.two.signal("SIGCONT");

    await waitUntil(() => checkpoints.at(-1)?.position === 2000);
    expect(await tally("two", 2000)).toEqual(complete(2000));
  });

  it("lets an optional sink that is stopped under way catch up from its buffer", async () => {
    const two = sink("two", { required: false, buffer: { maxEvents: 100_000 } });
    const events$ = new Subject<Numbered>();
    const done = lastValueFrom(events$.pipe(fanOut([sink("one"), two])));
    await firstOf(two.status, "opened");
    let sent = 0;
    const send = (count: number) => {
      for (const event of numbers(sent + count).slice(sent)) events$.next(event);
      sent += count;
    };
    send(1000);
    await waitUntil(async () => (await servers.two.client.xlen(stream)) === 1000);

    await servers.two.signal("SIGSTOP");
    for (let burst = 0; burst < 30; burst += 1) {
      send(1000);
      const expected = sent;
      await waitUntil(async () => (await servers.one.client.xlen(stream)) === expected);
    }
    await servers.two.signal("SIGCONT");
    events$.complete();
    await done;

    expect(await tally("one", sent)).toEqual(complete(sent));
    expect(await tally("two", sent)).toEqual(complete(sent));
  });

  it("says that an optional sink is behind when its buffer is full, and completes it at the next start", async () => {
    const small = { required: false, buffer: { maxEvents: 2000 } };
    const two = sink("two", small);
    await servers.two.signal("SIGSTOP");
    const first = replicate({
      source: logOf(30_000),
      sink: fanOut([sink("one"), two], "required", { patienceMs: 10, maxLateEvents: 5000 }),
    });
    await lastValueFrom(first.pipe(takeWhile(({ position }) => position !== 30_000)));
    const behind = await firstOf(two.status, "behind");
    await servers.two.signal("SIGCONT");
    await servers.two.client.ping();

    const again = replicate({
      source: logOf(30_000),
      sink: fanOut([sink("one"), sink("two", { required: false })], "all"),
    });
    await lastValueFrom(again.pipe(takeWhile(({ position }) => position !== 30_000)));

    expect(behind.cause.message).toMatch(/more than 5000 events came before it was reached/);
    expect(await tally("one", 30_000)).toEqual(complete(30_000));
    expect(await tally("two", 30_000)).toEqual(complete(30_000));
  });

  it("lets each sink go on from its own position, the source from the lowest", async () => {
    await lastValueFrom(from(numbers(300)).pipe(sink("one")));
    await lastValueFrom(from(numbers(100)).pipe(sink("two")));
    const opened: unknown[] = [];
    const log: Source<Numbered, number> = (position, flow) => {
      opened.push(position);
      return logOf(1000)(position, flow);
    };

    const running = replicate({ source: log, sink: fanOut([sink("one"), sink("two")], "all") });
    await lastValueFrom(running.pipe(takeWhile(({ position }) => position !== 1000)));

    expect(opened).toEqual([100]);
    expect(await tally("one", 1000)).toEqual(complete(1000));
    expect(await tally("two", 1000)).toEqual(complete(1000));
  });

  it("goes back for all when a sink that gates has lost data", async () => {
    let isLost = false;
    const running = replicate({ source: logOf(20_000), sink: fanOut([sink("one"), sink("two")], "all") });
    await lastValueFrom(
      running.pipe(
        tap(({ position = 0 }) => {
          if (position < 5000 || isLost) return;
          isLost = true;
          void servers.two.client.flushall();
        }),
        takeWhile(({ position }) => position !== 20_000),
      ),
    );

    expect(await tally("one", 20_000)).toEqual(complete(20_000));
    expect(await tally("two", 20_000)).toEqual(complete(20_000));
  });

  it("ends with the error of a sink that gates, and not with that of another one", async () => {
    await servers.two.client.set(stream, "text");
    const broken = sink("two", { required: false });

    await lastValueFrom(from(numbers(100)).pipe(fanOut([sink("one"), broken])));
    expect(await firstOf(broken.status, "behind")).toMatchObject({ cause: { _tag: "WrongType" } });
    expect(await tally("one", 100)).toEqual(complete(100));

    const all = from(numbers(100)).pipe(fanOut([sink("one"), sink("two")], "all"));
    await expect(lastValueFrom(all)).rejects.toMatchObject({ _tag: "WrongType" });
  });

  it("publishes what came before an error of the source to every sink, then passes it on", async () => {
    const broken = concat(
      from(numbers(3000)),
      throwError(() => new Error("the source broke")),
    );
    const slow = sink("two", { batch: { maxEvents: 10 } });

    await expect(lastValueFrom(broken.pipe(fanOut([sink("one"), slow], "all")))).rejects.toThrow(
      "the source broke",
    );

    expect(await tally("one", 3000)).toEqual(complete(3000));
    expect(await tally("two", 3000)).toEqual(complete(3000));
  });

  it("closes all connections when it is unsubscribed", async () => {
    const running = replicate({ source: logOf(10), sink: fanOut([sink("one"), sink("two")]) });
    const subscription = running.subscribe();
    await waitUntil(async () => (await servers.two.client.xlen(stream)) === 10);

    subscription.unsubscribe();

    for (const name of ["one", "two"] as const) {
      await waitUntil(
        async () => !String(await servers[name].client.client("LIST")).includes(`rxadd:${name}`),
      );
    }
  });

  it.each([
    { sinks: [], policy: "all", message: /found no sink, expected at least one/ },
    { sinks: ["two"], policy: "required", message: /found no sink that is required/ },
    {
      sinks: ["one", "two"],
      policy: { quorum: 3 },
      message: /quorum: found 3, expected a whole number from 1 to 2/,
    },
    { sinks: ["one", "one"], policy: "all", message: /found the ids one, one, expected different ones/ },
  ] as const)("refuses $sinks with $policy", ({ sinks, policy, message }) => {
    expect(() =>
      fanOut(
        sinks.map((name) => sink(name, { required: name === "one" })),
        policy,
      ),
    ).toThrow(message);
  });
});
