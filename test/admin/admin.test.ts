import { Redis } from "ioredis";
import { createClient } from "redis";
import { firstValueFrom, from, lastValueFrom, take, toArray } from "rxjs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  claimEntries,
  deleteEntries,
  groupPending,
  pendingEntries,
  type StreamOptions,
  streamGroups,
  streamInfo,
  streamLength,
  trimAcknowledged,
  trimStream,
} from "../../src/admin/index.ts";
import { redisSink } from "../../src/index.ts";
import { startCluster } from "../kit/servers/clusterServers.ts";
import { freePort, type RedisServer, startRedis } from "../kit/servers/redisServer.ts";

const stream = "orders.events";
const group = "mygroup";
let redis: RedisServer;
let at: StreamOptions;
beforeAll(async () => {
  redis = await startRedis([], "s3cr3t");
  at = { uri: redis.uri.replace("://", "://:s3cr3t@"), stream };
});
afterAll(() => redis.stop());
beforeEach(() => redis.client.flushall());

function entryIds(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}-0`);
}

/** A stream of entries 1-0, 2-0 and so on, of which a group has read the first ones. */
async function fill(
  entries: number,
  delivered = 0,
  consumer = "worker1",
  client: RedisServer["client"] = redis.client,
) {
  await client.xgroup("CREATE", stream, group, "0", "MKSTREAM");
  const adding = client.pipeline();
  for (const id of entryIds(1, entries)) adding.xadd(stream, id, "event", "{}");
  await adding.exec();
  if (delivered > 0)
    await client.xreadgroup("GROUP", group, consumer, "COUNT", delivered, "STREAMS", stream, ">");
}

/** Connections of others than the test itself. */
async function connections(): Promise<number> {
  const clients = await redis.client.client("LIST");
  return `${clients}`.trim().split("\n").length - 1;
}

describe("streamLength and streamInfo", () => {
  it("tell what a stream holds, and close their connection", async () => {
    await fill(3);

    expect(await firstValueFrom(streamLength(at))).toBe(3);
    expect(await firstValueFrom(streamInfo(at))).toEqual({
      stream,
      length: 3,
      groups: 1,
      firstEntryId: "1-0",
      lastEntryId: "3-0",
      lastGeneratedId: "3-0",
      entriesAdded: 3,
    });
    await expect.poll(connections).toBe(0);
  });

  it("tell of a stream that is empty", async () => {
    await fill(1);
    await redis.client.xdel(stream, "1-0");

    expect(await firstValueFrom(streamInfo(at))).toMatchObject({
      length: 0,
      firstEntryId: undefined,
      lastGeneratedId: "1-0",
    });
  });
});

describe("streamGroups", () => {
  it("tells how far each group is", async () => {
    await fill(5, 3);
    await redis.client.xack(stream, group, "1-0");

    expect(await firstValueFrom(streamGroups(at))).toEqual([
      { group, consumers: 1, pending: 2, lastDeliveredId: "3-0", lag: 2 },
    ]);
  });

  it("does not know a lag that Redis does not know", async () => {
    await fill(5, 1);
    await redis.client.xdel(stream, "3-0");

    expect(await firstValueFrom(streamGroups(at))).toMatchObject([{ lag: undefined }]);
  });
});

describe("groupPending and pendingEntries", () => {
  it("tell what is pending, and with whom", async () => {
    await fill(5, 3);
    await redis.client.xreadgroup("GROUP", group, "worker2", "COUNT", 1, "STREAMS", stream, ">");

    expect(await firstValueFrom(groupPending(at, group))).toEqual({
      group,
      pending: 4,
      firstEntryId: "1-0",
      lastEntryId: "4-0",
      consumers: [
        { consumer: "worker1", pending: 3 },
        { consumer: "worker2", pending: 1 },
      ],
    });
    const entries = pendingEntries(at, { group, consumer: "worker2" });
    expect(await firstValueFrom(entries)).toMatchObject({
      entryId: "4-0",
      consumer: "worker2",
      deliveries: 1,
    });
  });

  it("tell of nothing pending, and fail without the group", async () => {
    await fill(1);

    expect(await firstValueFrom(groupPending(at, group))).toMatchObject({
      pending: 0,
      firstEntryId: undefined,
      consumers: [],
    });
    await expect(firstValueFrom(groupPending(at, "other"))).rejects.toMatchObject({
      _tag: "GroupMissing",
      message: expect.stringContaining("NOGROUP"),
    });
  });

  it("emit every entry of several pages once, in order, or as many as are taken", async () => {
    await fill(2500, 2500);

    const all = await lastValueFrom(pendingEntries(at, { group }).pipe(toArray()));
    const some = await lastValueFrom(pendingEntries(at, { group }).pipe(take(3), toArray()));

    expect(all.map(({ entryId }) => entryId)).toEqual(entryIds(1, 2500));
    expect(some.map(({ entryId }) => entryId)).toEqual(entryIds(1, 3));
  });

  it("leave out what was delivered more recently", async () => {
    await fill(3, 3);
    await redis.client.xclaim(stream, group, "worker1", 0, "2-0", "IDLE", 90_000);

    const idle = await lastValueFrom(pendingEntries(at, { group, minIdleMs: 60_000 }).pipe(toArray()));

    expect(idle.map(({ entryId }) => entryId)).toEqual(["2-0"]);
  });
});

describe("claimEntries", () => {
  async function stuck(count: number): Promise<void> {
    await fill(count, count);
    await redis.client.xclaim(stream, group, "worker1", 0, ...entryIds(1, count), "IDLE", 90_000, "JUSTID");
  }

  async function pendingOf(consumer: string): Promise<readonly { readonly deliveries: number }[]> {
    return lastValueFrom(pendingEntries(at, { group, consumer }).pipe(toArray()));
  }

  it("hands all that is idle long enough to another consumer, as no further delivery", async () => {
    await stuck(2500);
    await redis.client.xclaim(stream, group, "worker1", 0, "7-0", "IDLE", 10, "JUSTID");

    const pages = await lastValueFrom(
      claimEntries(at, { group, consumer: "worker2", minIdleMs: 60_000 }).pipe(toArray()),
    );

    expect(pages.flatMap(({ claimed }) => claimed)).toEqual(entryIds(1, 2500).filter((id) => id !== "7-0"));
    const owned = await pendingOf("worker2");
    expect(owned).toHaveLength(2499);
    expect(owned.filter(({ deliveries }) => deliveries !== 1)).toEqual([]);
    expect(await pendingOf("worker1")).toHaveLength(1);
  });

  it("hands over only the entries that are named, if they are idle long enough", async () => {
    await stuck(3);
    await redis.client.xclaim(stream, group, "worker1", 0, "2-0", "IDLE", 10, "JUSTID");

    const claim = { group, consumer: "worker2", minIdleMs: 60_000, entryIds: ["1-0", "2-0", "9-0"] };
    expect(await lastValueFrom(claimEntries(at, claim))).toEqual({ claimed: ["1-0"], deleted: [] });
  });

  it("tells which had been deleted, and they are pending no more", async () => {
    await stuck(3);
    await redis.client.xdel(stream, "2-0");

    const claimed = await lastValueFrom(claimEntries(at, { group, consumer: "worker2", minIdleMs: 60_000 }));

    expect(claimed).toEqual({ claimed: ["1-0", "3-0"], deleted: ["2-0"] });
    expect(await firstValueFrom(groupPending(at, group))).toMatchObject({ pending: 2 });
  });
});

describe("trimStream", () => {
  it("keeps just the newest entries", async () => {
    await fill(250);

    expect(await firstValueFrom(trimStream(at, { maxLength: 42 }))).toEqual({ removed: 208, length: 42 });
  });

  it("keeps the entries from an ID on", async () => {
    await fill(250);

    expect(await firstValueFrom(trimStream(at, { minId: "201" }))).toEqual({ removed: 200, length: 50 });
  });

  it("removes whole nodes only where that is enough, but all of them", async () => {
    await fill(25_050);

    const { removed, length } = await firstValueFrom(trimStream(at, { maxLength: 10, approximate: true }));

    // A plain XTRIM with ~ ends after 10,000 entries.
    expect(removed + length).toBe(25_050);
    expect(length).toBeGreaterThanOrEqual(10);
    expect(length).toBeLessThan(10 + 100);
  });

  it("leaves a stream that is short enough", async () => {
    await fill(5);

    expect(await firstValueFrom(trimStream(at, { maxLength: 5 }))).toEqual({ removed: 0, length: 5 });
  });
});

describe("a stream that is trimmed to nothing", () => {
  it("is no loss to its producer, which goes on without sending anything again", async () => {
    const states: string[] = [];
    const publish = (positions: readonly number[]) =>
      lastValueFrom(
        from(positions.map((position) => ({ id: `orders/${position}`, position }))).pipe(
          redisSink({ ...at, id: "orders-redis", status: { next: ({ state }) => states.push(state) } }),
        ),
      );
    await publish([1, 2, 3]);
    await firstValueFrom(trimStream(at, { maxLength: 0 }));

    await publish([2, 3, 4]);

    expect(await redis.client.xlen(stream)).toBe(1);
    expect(states).not.toContain("rewound");
  });
});

describe("deleteEntries", () => {
  it("deletes the entries that are there, and tells how many that were", async () => {
    await fill(3000);

    expect(await firstValueFrom(deleteEntries(at, [...entryIds(1, 2500), "9999-0"]))).toBe(2500);
    expect(await firstValueFrom(deleteEntries(at, []))).toBe(0);
    expect(await redis.client.xlen(stream)).toBe(500);
  });
});

describe("every one of them", () => {
  it.each([
    ["a URI with another scheme", { uri: "http://h", stream }, "uri: found http://h, expected a URI"],
    [
      "a uri and a connection",
      { uri: "redis://h", stream, ...({ connection: {} } as object) },
      "uri: found a connection as well, expected one of them",
    ],
    [
      "a client of node-redis",
      { stream, connection: createClient() as never },
      "a stream: connection: found a client of node-redis, expected a Redis or Cluster of ioredis",
    ],
    ["a stream without a name", { uri: "redis://h", stream: "" }, "stream: found"],
  ])("fails on %s with all that is wrong", async (_what, where, message) => {
    await expect(firstValueFrom(streamLength(where))).rejects.toMatchObject({
      _tag: "ConfigurationInvalid",
      message: expect.stringContaining(message),
    });
  });

  it("fails on what is no entry ID before it asks Redis, and closes its connection", async () => {
    const wrong = ["1-0", "x"];

    for (const asked of [
      deleteEntries(at, wrong),
      claimEntries(at, { group, consumer: "c", minIdleMs: 1, entryIds: wrong }),
      trimStream(at, { minId: "99999999999999999999" }),
      trimStream(at, { maxLength: -1 }),
    ]) {
      await expect(lastValueFrom<unknown>(asked)).rejects.toMatchObject({ _tag: "ConfigurationInvalid" });
    }
    await expect.poll(connections).toBe(0);
  });

  it("fails at once, without the password, where it is wrong or nobody listens", async () => {
    const wrong = { ...at, uri: redis.uri.replace("://", "://:secr3t@") };
    const refused = await firstValueFrom(streamLength(wrong)).catch((error: unknown) => error);
    expect(refused).toMatchObject({ _tag: "AuthenticationFailed" });
    expect(String(refused)).not.toContain("secr3t");

    const nobody = { uri: `redis://:secr3t@127.0.0.1:${await freePort()}`, stream };
    const unreachable = await firstValueFrom(streamLength(nobody)).catch((error: unknown) => error);
    expect(unreachable).toMatchObject({ _tag: "Unreachable" });
    expect(String(unreachable)).not.toContain("secr3t");
  });

  it("fails on a key that holds something else", async () => {
    await redis.client.set(stream, "text");

    for (const asked of [streamInfo(at), trimAcknowledged(at), trimStream(at, { maxLength: 1 })]) {
      await expect(lastValueFrom<unknown>(asked)).rejects.toMatchObject({ _tag: "WrongType" });
    }
  });

  it("uses the caller's connection, with its key prefix, and leaves it open", async () => {
    const connection = new Redis(redis.port, { password: "s3cr3t", keyPrefix: "shop:" });
    await connection.xadd(stream, "1-0", "event", "{}");
    await connection.xgroup("CREATE", stream, group, "$");
    const own: StreamOptions = { connection, stream };

    expect(await firstValueFrom(streamGroups(own))).toHaveLength(1);
    expect(await firstValueFrom(trimAcknowledged(own))).toMatchObject({ removed: 1 });
    expect(await firstValueFrom(streamLength(own))).toBe(0);
    expect(connection.status).toBe("ready");
    await connection.quit();
  });

  it("reaches a stream in a Cluster", async () => {
    const cluster = await startCluster({ masters: 2 });
    const owner = await cluster.ownerOf(stream);
    await fill(5, 3, "worker1", owner.client);
    const there = { uri: cluster.uri, stream };

    expect(await firstValueFrom(streamInfo(there))).toMatchObject({ length: 5, groups: 1 });
    expect(await firstValueFrom(groupPending(there, group))).toMatchObject({ pending: 3 });
    expect(await lastValueFrom(claimEntries(there, { group, consumer: "c", minIdleMs: 0 }))).toMatchObject({
      claimed: ["1-0", "2-0", "3-0"],
    });
    await owner.client.xack(stream, group, "1-0");
    expect(await firstValueFrom(trimAcknowledged(there))).toMatchObject({ removed: 1, heldAt: "2-0" });
    expect(await firstValueFrom(deleteEntries(there, ["5-0"]))).toBe(1);
    expect(await firstValueFrom(trimStream(there, { maxLength: 1 }))).toEqual({ removed: 2, length: 1 });
    await cluster.stop();
  });
});
