import { Redis } from "ioredis";
import {
  concat,
  defer,
  from,
  lastValueFrom,
  map,
  type Observable,
  type OperatorFunction,
  range,
  take,
} from "rxjs";
import { beforeEach, describe, expect, it } from "vitest";
import {
  acknowledge,
  type Delivery,
  deduplicate,
  effects,
  type GroupOptions,
  groupDeliveries,
  streamEntries,
  watchGroup,
} from "../../src/consumer.ts";
import { redisSink, replicate, type SinkOptions, type Source } from "../../src/index.ts";
import { tablesOf } from "../../src/redis/wire/entryReplies.ts";
import { startCluster } from "../kit/servers/clusterServers.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import type { RedisServer } from "../kit/servers/redisServer.ts";
import { startSentinels } from "../kit/servers/sentinelServers.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";
import { documentedExtra, documentedRights } from "../repository/documentedRights.ts";

type Numbered = { readonly position: number };

const redis = emptyRedis();

function setUser(
  { client }: Pick<RedisServer, "client">,
  user: string,
  ...rules: readonly string[]
): Promise<unknown> {
  return client.call("ACL", "SETUSER", user, ...rules);
}

/** Publishes as the user `producer`, also an event that cannot be encoded if there are dead letters. */
async function publish(settings: Partial<SinkOptions<Numbered, number>> = {}, uri = redis.uri) {
  const sink = redisSink<Numbered, number>({
    id: "orders-redis",
    uri: uri.replace("://", "://producer:password@"),
    stream: "orders.events",
    event: {
      encode: (event) => {
        if (event.position === 2 && settings.deadLetters !== undefined) throw new TypeError("poison");
        return JSON.stringify(event);
      },
    },
    ...settings,
  });
  const { position } = await lastValueFrom(
    range(1, 3).pipe(
      map((position) => ({ position })),
      sink,
    ),
  );
  return position;
}

describe("the rights that docs/connections.md gives a producer", () => {
  const producer = documentedRights("producer");

  it("are enough to publish", async () => {
    await setUser(redis, "producer", ...producer);

    expect(await publish()).toBe(3);
    expect(await redis.client.call("ACL", "LOG")).toEqual([]);
  });

  it("are enough with entries of others in the stream", async () => {
    await redis.client.xadd("orders.events", "*", "event", "{}");

    expect(await publish()).toBe(3);
  });

  it("are not enough to write anything else", async () => {
    await expect(publish({ stream: "others.events" })).rejects.toMatchObject({ _tag: "PermissionDenied" });
    expect(await redis.client.keys("*")).toEqual([]);
  });

  const extras: readonly [string, Partial<SinkOptions<Numbered, number>>][] = [
    ["`durability`", { durability: { replicas: 0 } }],
    ["`deadLetters`", { deadLetters: { stream: "orders.dead" } }],
    ["`trim`", { trim: { acknowledged: true } }],
    ["`trim`", { trim: { maxAgeMs: 60_000 } }],
    ["computed streams", { stream: ({ position }) => `orders.${position % 2}` }],
    ['`publish: "multi"`', { publish: "multi" }],
  ];

  it.each(extras)("are enough for %s with what the page adds, and not without", async (what, settings) => {
    const extra = documentedExtra("producer", what);
    expect(extra.length).toBeGreaterThan(0);
    await setUser(redis, "producer", ...producer, "-eval", "-evalsha");
    if (what.includes("multi")) await setUser(redis, "producer", ...extra);
    else
      await setUser(redis, "producer", "+eval", "+evalsha", ...extra.filter((rule) => rule !== "+waitaof"));
    expect(await publish(settings)).toBe(3);

    await redis.client.flushall();
    await setUser(redis, "producer", ...producer);
    if (what.includes("multi")) await setUser(redis, "producer", "-eval", "-evalsha");
    await expect(publish(settings)).rejects.toMatchObject({ _tag: "PermissionDenied" });
    expect(await redis.client.xlen("orders.events")).toBeLessThanOrEqual(3);
  });

  it("are enough for many writers with what the page adds, and not without", async () => {
    const extra = documentedExtra(
      "producer",
      "[many writers](guarantees.md#many-writers): events without positions",
    );
    for (const how of ["script", "multi"] as const) {
      const ways = how === "multi" ? documentedExtra("producer", '`publish: "multi"`') : [];
      const unplaced = { publish: how, event: { position: () => undefined } };
      await setUser(redis, "producer", ...producer, ...ways, ...extra);
      expect(await publish(unplaced)).toBeUndefined();
      expect(await redis.client.xlen("orders.events")).toBe(3);

      await redis.client.flushall();
      await setUser(redis, "producer", ...producer, ...ways);
      await expect(publish(unplaced)).rejects.toMatchObject({ _tag: "PermissionDenied" });
      expect(await redis.client.xlen("orders.events")).toBe(0);
    }
  });

  it("are enough for a Cluster with what the page adds", async () => {
    const cluster = await startCluster({ masters: 2 });
    for (const node of cluster.nodes) {
      await setUser(node, "producer", ...producer, ...documentedExtra("producer", "a Cluster"), "+wait");
    }

    expect(await publish({ durability: { replicas: 0 } }, cluster.uri)).toBe(3);
    for (const { client } of cluster.nodes) expect(await client.call("ACL", "LOG")).toEqual([]);
    await cluster.stop();
  });

  it("are enough for computed streams in a Cluster with what the page adds", async () => {
    const cluster = await startCluster({ masters: 2 });
    const extra = ["computed streams", "a Cluster", "computed streams in a Cluster"].flatMap((what) =>
      documentedExtra("producer", what),
    );
    for (const node of cluster.nodes) await setUser(node, "producer", ...producer, ...extra);
    const uri = cluster.uri.replace("://", "://producer:password@");
    const source: Source<Numbered, number> = () => range(1, 20).pipe(map((position) => ({ position })));
    const publishing = () =>
      lastValueFrom(
        replicate({
          source,
          sink: redisSink<Numbered, number>({
            ...{ id: "orders-redis", uri },
            stream: ({ position }) => `orders.${position % 5}`,
          }),
        }),
      );

    expect((await publishing()).position).toBe(20);
    // Once more, so that the ledger is read.
    await publishing();
    for (const { client } of cluster.nodes) expect(await client.call("ACL", "LOG")).toEqual([]);
    await cluster.stop();
  });

  it("are enough behind Sentinels, whose own user needs what the page says", async () => {
    const sentinels = await startSentinels({ replicas: 1 });
    for (const server of sentinels.servers) await setUser(server, "producer", ...producer);
    for (const port of sentinels.ports) {
      const client = new Redis(port, "127.0.0.1", { enableReadyCheck: false });
      const rules = ["on", ">watch", "-@all", "+sentinel", "+subscribe", "&+switch-master"];
      await client.call("ACL", "SETUSER", "watcher", "resetchannels", ...rules);
      client.disconnect();
    }

    const sentinel = { username: "watcher", password: "watch" };
    expect(await publish({ sentinel }, sentinels.uri)).toBe(3);
    for (const { client } of sentinels.servers) expect(await client.call("ACL", "LOG")).toEqual([]);
    await sentinels.stop();
  });
});

interface Order {
  readonly id: string;
}

describe("the rights that docs/connections.md gives a consumer", () => {
  const consumer = documentedRights("consumer");
  const as = { stream: "orders.events", group: "mailer", blockMs: 100 };
  const access = () => ({ ...as, uri: redis.uri.replace("://", "://consumer:password@") });
  const fail = () => {
    throw new Error("the mail box is full");
  };

  beforeEach(async () => {
    await redis.client.call("ACL", "LOG", "RESET");
    await setUser(redis, "consumer", ...consumer);
    for (const id of ["a", "b", "a"])
      await redis.client.xadd("orders.events", "*", "event", JSON.stringify({ id }));
  });

  const settled = () =>
    waitUntil(async () => {
      const [group] = tablesOf(await redis.client.xinfo("GROUPS", "orders.events"));
      return group?.get("pending") === 0 && group.get("lag") === 0;
    });

  /** Consumes the three entries as a user with the rights, until nothing is pending. */
  function consume(
    settings: Partial<GroupOptions<Order>>,
    handle: OperatorFunction<Delivery<Order>, unknown>,
  ): Observable<unknown> {
    const redelivery = { initialMs: 1 };
    return defer(() =>
      groupDeliveries<Order>({ ...access(), redelivery, until: from(settled()), ...settings }),
    ).pipe(handle);
  }

  it("are enough to take over what another consumer left, to fail, to try again and to drain", async () => {
    await redis.client.xgroup("CREATE", "orders.events", "mailer", "0");
    await redis.client.xreadgroup("GROUP", "mailer", "gone", "COUNT", 2, "STREAMS", "orders.events", ">");
    let failures = 0;

    await lastValueFrom(
      consume(
        { claimIdleMs: 30 },
        acknowledge(() => {
          failures += 1;
          if (failures === 1) fail();
          return undefined;
        }),
      ),
    );

    expect(failures).toBe(4);
    expect(await redis.client.call("ACL", "LOG")).toEqual([]);
  });

  const handled = acknowledge<Order>(() => undefined);
  const extras: readonly [string, () => Observable<unknown>][] = [
    [
      "`deadLetters`",
      () => consume({ deadLetters: { stream: "orders.dead" }, maxDeliveries: 1 }, acknowledge(fail)),
    ],
    [
      "`deduplicate`",
      () => consume({}, (source) => source.pipe(deduplicate({ key: ({ id }) => id }), handled)),
    ],
    [
      "`effects`",
      () =>
        consume(
          {},
          acknowledge(({ id }) => effects(["HINCRBY", "totals", id, 1])),
        ),
    ],
    [
      "`remove`",
      () =>
        consume(
          {},
          acknowledge<Order>(() => undefined, { remove: true }),
        ),
    ],
    [
      "`watchGroup`",
      () =>
        concat(
          consume({}, handled),
          watchGroup({ uri: access().uri, stream: as.stream, group: as.group }).pipe(take(1)),
        ),
    ],
    [
      "`streamEntries`",
      () => streamEntries({ uri: access().uri, stream: as.stream, blockMs: 100, from: "0-0" }).pipe(take(3)),
    ],
  ];

  it.each(extras)("are enough for %s with what the page adds, and not without", async (what, use) => {
    const extra = documentedExtra("consumer", what);
    expect(extra.length).toBeGreaterThan(0);
    const log = async () => JSON.stringify(await redis.client.call("ACL", "LOG"));

    // Some of it ends, and some of it goes on trying.
    const attempt = use().subscribe({ error: () => {} });
    await waitUntil(async () => (await log()) !== "[]");
    attempt.unsubscribe();
    await setUser(redis, "consumer", ...extra);
    await redis.client.call("ACL", "LOG", "RESET");
    await lastValueFrom(use(), { defaultValue: undefined });

    expect(await log()).toBe("[]");
  });

  it("are not enough to write anything else", async () => {
    const client = new Redis(access().uri);

    await expect(client.xadd("orders.events", "*", "event", "{}")).rejects.toThrow("NOPERM");
    await expect(client.set("totals", "0")).rejects.toThrow("NOPERM");
    client.disconnect();
  });
});
