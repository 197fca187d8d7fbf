import { createRequire } from "node:module";
import { Cluster, Redis } from "ioredis";
import {
  filter,
  firstValueFrom,
  fromEvent,
  lastValueFrom,
  map,
  NEVER,
  type Observable,
  range,
  Subject,
  take,
  toArray,
} from "rxjs";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import {
  acknowledge,
  type ConsumerStatus,
  deduplicate,
  groupDeliveries,
  streamEntries,
} from "../../src/consumer.ts";
import { redisSink, type SinkSettings, type SinkStatus } from "../../src/index.ts";
import { failureOf } from "../kit/program/failureOf.ts";
import { type ClusterServers, startCluster } from "../kit/servers/clusterServers.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

interface Numbered {
  readonly position: number;
}

const redis = emptyRedis();

/** A connection of the caller's, closed when the test is over. */
function connect(options: object = {}): Redis {
  const own = new Redis({ port: redis.port, ...options });
  onTestFinished(() => own.disconnect());
  return own;
}

function publish(
  connection: Redis | Cluster,
  settings: Partial<SinkSettings<Numbered, number>> = {},
): Promise<unknown> {
  const events$ = range(1, 3).pipe(map((position) => ({ position })));
  return lastValueFrom(
    events$.pipe(redisSink<Numbered, number>({ id: "x", connection, stream: "orders", ...settings })),
  );
}

function untilOpened(status$: Observable<SinkStatus>): Promise<SinkStatus> {
  return firstValueFrom(status$.pipe(filter(({ state }) => state === "opened")));
}

/** Each way to publish opens its own connections beside the caller's. */
const ways: readonly (readonly [string, Partial<SinkSettings<Numbered, number>>])[] = [
  ["publish: script", {}],
  ["publish: multi", { publish: "multi" }],
  ["durability", { durability: { replicas: 0, timeoutMs: 100 } }],
];

describe("a connection of the caller's that has selected another database", () => {
  it.each(ways)("is published to there (%s)", async (_way, settings) => {
    const own = connect();
    await own.select(5);

    await publish(own, settings);

    expect(await own.xlen("orders")).toBe(3);
    expect(await redis.client.keys("*")).toEqual([]);
  });

  it("is published to there also by a sink that starts while Redis is away", async () => {
    const own = connect({ retryStrategy: () => 20 });
    own.on("error", () => {});
    await own.select(5);
    await redis.signal("SIGKILL");
    await lastValueFrom(fromEvent(own, "reconnecting").pipe(take(2)));

    const published = publish(own, { publish: "multi" });
    await redis.start();
    await published;

    expect(await connect({ db: 5 }).xlen("orders")).toBe(3);
    expect(await redis.client.keys("*")).toEqual([]);
  });

  it("is read from there by a group", async () => {
    const own = connect();
    await own.select(5);
    await own.xadd("orders", "*", "event", '{"id":"a"}');

    const handled = await lastValueFrom(
      groupDeliveries({ connection: own, stream: "orders", group: "g" }).pipe(
        acknowledge(async () => {}),
        take(1),
      ),
    );

    expect(handled.delivery.event).toEqual({ id: "a" });
    expect(await redis.client.keys("*")).toEqual([]);
  });
});

describe("a connection of the caller's with a keyPrefix", () => {
  it.each(ways)("puts it before every key (%s)", async (_way, settings) => {
    const own = connect({ keyPrefix: "shop:" });
    const more = { trim: { maxLen: 2, approximate: false }, deadLetters: { stream: "dead" } };

    await publish(own, { ...settings, ...more });
    await publish(own, { ...settings, ...more });

    const keys = await redis.client.keys("*");
    expect(keys).toEqual(expect.arrayContaining(["shop:orders", "shop:{orders}:rxadd:x"]));
    expect(keys.filter((key) => !key.startsWith("shop:"))).toEqual([]);
    expect(await redis.client.xlen("shop:orders")).toBe(2);
  });

  it("is looked at there by a dashboard", async () => {
    const connection = connect({ keyPrefix: "shop:" });
    await publish(connection);
    const opened = redisSink<Numbered, number>({ id: "x", connection, stream: "orders" }).openWatch();
    if (opened === undefined) throw new Error("there is no watch");

    const figures = await lastValueFrom(opened.look(["orders"]));

    expect(figures.streams).toMatchObject([{ length: 3, groups: [], entries: [{}, {}, {}] }]);
    expect(figures.streams[0]?.memoryBytes).toBeGreaterThan(0);
    opened.unsubscribe();
  });
});

describe("a connection of the caller's that answers in a form of its own", () => {
  const forms = [
    ["stringNumbers", { stringNumbers: true }],
    ["replyMapping: resp3", { replyMapping: "resp3" }],
  ] as const;

  it.each(
    forms.flatMap(([form, options]) =>
      ways.map(([way, settings]) => [form, way, options, settings] as const),
    ),
  )("is published to with %s (%s)", async (_form, _way, options, settings) => {
    await publish(connect(options), settings);

    expect(await redis.client.xlen("orders")).toBe(3);
  });

  it.each(forms)("is read by a group with %s", async (_form, options) => {
    await redis.client.xadd("orders", "*", "event", '{"id":"a"}');

    const handled = await lastValueFrom(
      groupDeliveries({ connection: connect(options), stream: "orders", group: "g" }).pipe(
        acknowledge(async () => {}),
        take(1),
        toArray(),
      ),
    );

    expect(handled).toHaveLength(1);
  });
});

describe("a connection of the caller's whose commands go another way", () => {
  const least: { readonly Redis: typeof Redis } = createRequire(import.meta.url)("ioredis-least");

  it.each([
    ["enableAutoPipelining", Redis, { enableAutoPipelining: true }],
    ["enableAutoPipelining of ioredis 5", least.Redis, { enableAutoPipelining: true }],
    ["a commandTimeout that is shorter than a read waits", Redis, { commandTimeout: 50 }],
    ["the same of ioredis 5", least.Redis, { commandTimeout: 50 }],
  ])("is read by a group and without one, with %s", async (_how, Client, options) => {
    const own = new Client({ port: redis.port, ...options });
    onTestFinished(() => own.disconnect());
    const states: string[] = [];
    const status = { next: ({ state }: ConsumerStatus) => states.push(state) };
    const where = { connection: own, stream: "orders", status };
    const handled$ = groupDeliveries({ ...where, group: "g" }).pipe(acknowledge(() => undefined));
    const ids = [
      handled$.pipe(map(({ delivery }) => delivery.entryId)),
      streamEntries({ ...where, from: "0-0" }).pipe(map(({ entryId }) => entryId)),
    ].map((ids$) => lastValueFrom(ids$.pipe(take(2), toArray())));
    await redis.client.xadd("orders", "*", "event", '{"id":"a"}');
    await new Promise((waited) => setTimeout(waited, 200));
    await redis.client.xadd("orders", "*", "event", '{"id":"b"}');

    expect((await Promise.all(ids)).map(({ length }) => length)).toEqual([2, 2]);
    expect(states).not.toContain("retrying");
  });
});

describe("a connection of the caller's that is closed", () => {
  it("ends the sink at once, also when nothing is to be published", async () => {
    const own = connect();
    const status$ = new Subject<SinkStatus>();
    const opened = untilOpened(status$);
    const failure = failureOf(
      NEVER.pipe(redisSink({ id: "x", connection: own, stream: "orders", status: status$ })),
    );
    await opened;

    await own.quit();

    expect(await failure).toMatchObject({
      _tag: "ConfigurationInvalid",
      message: expect.stringContaining("the caller's connection is closed for good"),
    });
  });

  it("ends the sink at its start", async () => {
    const own = connect();
    await own.quit();

    await expect(publish(own)).rejects.toMatchObject({ _tag: "ConfigurationInvalid" });
  });

  it("ends the sink when one that is like it gives up, as its retryStrategy says", async () => {
    const own = connect({ retryStrategy: () => null });
    const status$ = new Subject<SinkStatus>();
    const opened = untilOpened(status$);
    const failure = failureOf(
      NEVER.pipe(
        redisSink({ id: "x", connection: own, stream: "orders", publish: "multi", status: status$ }),
      ),
    );
    await opened;

    await redis.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");

    expect(await failure).toMatchObject({ _tag: "ConfigurationInvalid" });
  });
});

describe("a connection of the caller's that many share", () => {
  it("has one listener for each of its events, and none once they have ended", async () => {
    const own = connect();
    await own.ping();
    const names = ["error", "node error", "ready", "close", "end"];
    const counts = () => names.map((name) => own.listenerCount(name));
    const before = counts();
    const status$ = new Subject<SinkStatus>();
    const opened = lastValueFrom(status$.pipe(take(12 * 2), toArray()));

    const sinks = Array.from({ length: 12 }, (_, index) =>
      NEVER.pipe(redisSink({ id: `s${index}`, connection: own, stream: `orders${index}`, status: status$ })),
    ).map((sink$) => sink$.subscribe());
    await opened;

    expect(counts().map((count, index) => count - (before[index] ?? 0))).toEqual([1, 1, 1, 0, 1]);
    for (const sink of sinks) sink.unsubscribe();
    expect(counts()).toEqual(before);
  });
});

describe("a Cluster of the caller's", () => {
  let servers: ClusterServers;
  beforeAll(async () => {
    servers = await startCluster({ masters: 2 });
  });
  afterAll(() => servers.stop());

  const nodes = () => servers.nodes.map(({ port }) => ({ host: "127.0.0.1", port }));

  it("is known by its flag, so that one of another copy of ioredis is one", async () => {
    const require = createRequire(import.meta.url);
    const here = Object.keys(require.cache);
    for (const path of here) delete require.cache[path];
    const other: { readonly Cluster: typeof Cluster } = require("ioredis");
    expect(other.Cluster).not.toBe(Cluster);
    const own = new other.Cluster(nodes());
    onTestFinished(() => own.disconnect());

    await publish(own, { durability: { replicas: 0, timeoutMs: 100 }, stream: "orders.${position}" });

    expect(await own.xlen("orders.3")).toBe(1);
  });

  it.each([
    ["own6", { Cluster }],
    ["own5", createRequire(import.meta.url)("ioredis-least")],
  ])("keeps its password, and may bundle its commands (%s)", async (stream, { Cluster: Clients }) => {
    const passwords = (password: string) =>
      Promise.all(servers.nodes.map(({ client }) => client.config("SET", "requirepass", password)));
    await passwords("secret");
    onTestFinished(async () => {
      await passwords("");
    });
    const own: Cluster = new Clients(nodes(), {
      enableAutoPipelining: true,
      redisOptions: { password: "secret" },
    });
    onTestFinished(() => own.disconnect());

    await publish(own, { durability: { replicas: 0, timeoutMs: 100 }, stream });
    const handled$ = groupDeliveries({ connection: own, stream, group: "g" });

    expect(
      await lastValueFrom(
        handled$.pipe(
          acknowledge(() => undefined),
          take(3),
          toArray(),
        ),
      ),
    ).toHaveLength(3);
  });

  it("heeds a keyPrefix where keys have a hash tag, and says so where they have none", async () => {
    const own = new Cluster(nodes(), { redisOptions: { keyPrefix: "shop:" } });
    onTestFinished(() => own.disconnect());

    await publish(own, { stream: "{orders}.events" });

    expect(await own.xlen("{orders}.events")).toBe(3);
    await expect(publish(own)).rejects.toMatchObject({
      _tag: "CrossSlot",
      message: expect.stringContaining("keyPrefix"),
    });
  });
});

describe("a Cluster of the caller's that reads from replicas", () => {
  it("is asked where what was acknowledged is known, whatever becomes of the replicas", async () => {
    const servers = await startCluster({ masters: 1, replicasPerMaster: 1 });
    onTestFinished(servers.stop);
    const nodes = servers.nodes.map(({ port }) => ({ host: "127.0.0.1", port }));
    const own = new Cluster(nodes, { scaleReads: "slave" });
    onTestFinished(() => own.disconnect());
    await own.xadd("orders", "*", "event", '{"id":"a"}');
    await servers.nodes[1]?.signal("SIGSTOP");

    const handled = await firstValueFrom(
      groupDeliveries<{ readonly id: string }>({ connection: own, stream: "orders", group: "g" }).pipe(
        deduplicate({ key: ({ id }) => id }),
        acknowledge(({ id }) => id),
      ),
    );

    expect(handled.result).toBe("a");
  });
});
