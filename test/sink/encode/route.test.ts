import { crc32 } from "node:zlib";
import fc from "fast-check";
import { from, lastValueFrom } from "rxjs";
import { describe, expect, it } from "vitest";
import { partitionOf, publisher, redisSink, type SinkOptions } from "../../../src/index.ts";
import { readEvents } from "../../kit/load/tally.ts";
import { startCluster } from "../../kit/servers/clusterServers.ts";
import { emptyRedis } from "../../kit/servers/emptyRedis.ts";

interface Change {
  readonly position: number;
  readonly key?: string;
  readonly after?: { readonly id: number };
}

describe("partitionOf", () => {
  it("gives a key the partition that CRC-32 gives it in any language", () => {
    // The check value of CRC-32/ISO-HDLC: 0xCBF43926.
    expect(partitionOf("orders", "123456789", 1000)).toBe(`orders:{${0xcbf43926 % 1000}}`);
  });

  it("is that of zlib for every text, of any length", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 600 }), (key) => {
        expect(partitionOf("s", key, 2 ** 32)).toBe(`s:{${crc32(key)}}`);
      }),
    );
  });

  it("uses each partition about as often as every other one", () => {
    const counts = new Map<string, number>();
    for (let n = 0; n < 10_000; n += 1) {
      const stream = partitionOf("orders", `order-${n}`, 10);
      counts.set(stream, (counts.get(stream) ?? 0) + 1);
    }
    expect(counts.size).toBe(10);
    expect(Math.min(...counts.values())).toBeGreaterThan(900);
  });

  it("stays within the number of partitions", () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 64 }), (key, partitions) => {
        const [, number] = /^s:\{(\d+)\}$/.exec(partitionOf("s", key, partitions)) ?? [];
        return Number(number) < partitions;
      }),
    );
  });
});

describe("partitions", () => {
  const redis = emptyRedis();

  function publish(changes: readonly Change[], settings: Partial<SinkOptions<Change, number>> = {}) {
    const sink = redisSink<Change, number>({
      id: "orders-redis",
      uri: redis.uri,
      stream: "orders",
      partitions: 4,
      ...settings,
    });
    return lastValueFrom(from(changes).pipe(sink));
  }

  const changes = Array.from({ length: 2000 }, (_, n) => ({ position: n + 1, key: `k${n % 50}` }));

  /** The events of each partition. */
  async function standing(client = redis.client): Promise<Change[][]> {
    return Promise.all(
      [0, 1, 2, 3].map(async (n) =>
        (await readEvents(client, `orders:{${n}}`)).map((text) => JSON.parse(text)),
      ),
    );
  }

  it("puts each event of a key into the same stream, in order, exactly once", async () => {
    await publish(changes);
    await publish(changes);

    const streams = await standing();
    expect(streams.flat()).toHaveLength(2000);
    for (const [n, events] of streams.entries()) {
      expect(events.length).toBeGreaterThan(0);
      for (const { key = "" } of events) expect(partitionOf("orders", key, 4)).toBe(`orders:{${n}}`);
      expect(events).toEqual(events.toSorted((a, b) => a.position - b.position));
    }
  });

  it("takes the key from a template, or from a function", async () => {
    const rows = [7, 8, 9].map((id, index) => ({ position: index + 1, after: { id } }));
    await publish(rows, { key: "${after.id}" });
    const byTemplate = await standing();
    await redis.client.flushall();

    await publish(rows, { key: ({ after }) => `${after?.id}` });

    expect(await standing()).toEqual(byTemplate);
  });

  it("spreads the streams of a template", async () => {
    await publish([{ position: 1, key: "a", after: { id: 5 } }], { stream: "cdc.${after.id}" });

    expect(await redis.client.exists(partitionOf("cdc.5", "a", 4))).toBe(1);
  });

  it("stops before an event without a key, or sets it aside", async () => {
    const broken = [{ position: 1, key: "a" }, { position: 2 }, { position: 3, key: "b" }];

    await expect(publish(broken)).rejects.toMatchObject({
      _tag: "StreamUnresolved",
      message: expect.stringMatching(
        /event at position 2: stream failed: found .*, expected a key: set the option key/,
      ),
    });
    expect((await standing()).flat()).toHaveLength(1);

    await publish(broken, { deadLetters: { stream: "orders.dead" } });
    expect((await standing()).flat()).toHaveLength(2);
    expect(await redis.client.xlen("orders.dead")).toBe(1);
  });

  it("takes no event out of its stream: one that names a key of another shape is set aside, or refused by itself", async () => {
    const changes = ["a", "b:{a}\n*", "c"].map((key, index) => ({ position: index + 1, key }));
    const settings = { partitions: undefined, stream: "tenant:${key}" };

    await expect(publish(changes, settings)).rejects.toMatchObject({
      _tag: "StreamUnresolved",
      message:
        "event at position 2: stream failed: tenant:${key}: found a brace at key of the event, expected a text without",
    });
    expect(await redis.client.keys("*tenant*")).toEqual(["tenant:a"]);

    const calls = publisher(
      redisSink<Change, number>({
        ...{ id: "calls", uri: redis.uri },
        stream: ({ key }) => `{tenants}:${key}`,
        event: { position: () => undefined },
      }),
    );
    const results = await Promise.allSettled(changes.map((change) => calls.publish(change)));
    await calls.close();

    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(results[1]).toMatchObject({
      reason: {
        _tag: "StreamUnresolved",
        message:
          "event 1: stream failed: found a control character in the stream key, expected a key without",
      },
    });
  });

  it("refuses a number that cannot be", () => {
    expect(() => publish([], { partitions: 0 })).toThrow(
      /partitions: found 0, expected a whole number from 1 on/,
    );
  });

  it("spreads over the masters of a Cluster", async () => {
    const cluster = await startCluster({ masters: 3 });
    try {
      await publish(changes, { uri: cluster.uri });
      const keys = await Promise.all(cluster.nodes.map(({ client }) => client.keys("orders:{?}")));

      expect(keys.filter((some) => some.length > 0).length).toBeGreaterThan(1);
      expect(keys.flat().sort()).toEqual([0, 1, 2, 3].map((n) => `orders:{${n}}`));
    } finally {
      await cluster.stop();
    }
  });
});
