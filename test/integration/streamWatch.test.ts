import { firstValueFrom } from "rxjs";
import { afterEach, describe, expect, it } from "vitest";
import { redisSink, type SinkOptions } from "../../src/index.ts";
import { tablesOf } from "../../src/redis/wire/entryReplies.ts";
import type { StreamWatch } from "../../src/telemetry/watchable.ts";
import { fakeRedis } from "../../src/testing/index.ts";
import { startCluster } from "../kit/servers/clusterServers.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { documentedExtra, documentedRights } from "../repository/documentedRights.ts";

const redis = emptyRedis();
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** What a sink opens for the dashboard; closed when the test ends. */
function opened(options: Partial<SinkOptions<unknown, number>> = {}): StreamWatch {
  const watch = redisSink<unknown, number>({
    id: "shop",
    uri: redis.uri,
    stream: "orders",
    ...options,
  } as SinkOptions<unknown, number>).openWatch();
  if (watch === undefined) throw new Error("found no watch");
  closing.push(watch.unsubscribe);
  return watch;
}

function look(streams: readonly string[], options?: Partial<SinkOptions<unknown, number>>) {
  return firstValueFrom(opened(options).look(streams));
}

describe("streamWatch", () => {
  it("says how a stream stands: length, memory, groups, newest entries", async () => {
    const { client } = redis;
    for (const item of ["tea", "milk"])
      await client.xadd("orders", "*", "event", `{"item":"${item}"}`, "kind", item);
    await client.xgroup("CREATE", "orders", "mailer", "0");
    await client.xreadgroup("GROUP", "mailer", "one", "COUNT", 1, "STREAMS", "orders", ">");
    const { memoryBytes, maxMemoryBytes, streams } = await look(["orders"]);
    expect(memoryBytes).toBeGreaterThan(100_000);
    expect(maxMemoryBytes).toBe(0);
    expect(streams).toMatchObject([
      { stream: "orders", length: 2, groups: [{ group: "mailer", lag: 1, pending: 1, consumers: 1 }] },
    ]);
    expect(streams[0]?.memoryBytes).toBeGreaterThan(100);
    expect(streams[0]?.entries?.map(({ fields }) => fields)).toEqual([
      [
        ["event", '{"item":"milk"}'],
        ["kind", "milk"],
      ],
      [
        ["event", '{"item":"tea"}'],
        ["kind", "tea"],
      ],
    ]);
  });

  it("says of a stream that is not there yet that it is empty", async () => {
    expect((await look(["orders"])).streams).toEqual([
      { stream: "orders", length: 0, memoryBytes: 0, groups: [], entries: [] },
    ]);
  });

  it("lets Redis hand out no more of an entry than there is to see", async () => {
    const large = "é".repeat(5_000_000);
    const many = Array.from({ length: 100 }, (_, index) => [`field${index}`, "value"]).flat();
    await redis.client.xadd("orders", "*", "event", large, ...many);
    const before = Number(/total_net_output_bytes:(\d+)/.exec(await redis.client.info("stats"))?.[1]);
    const [entry] = (await look(["orders"])).streams[0]?.entries ?? [];
    const after = Number(/total_net_output_bytes:(\d+)/.exec(await redis.client.info("stats"))?.[1]);
    expect(after - before).toBeLessThan(100_000);
    expect(entry?.fields).toHaveLength(8);
    expect(entry?.fields[0]?.[1]).toBe(`${"é".repeat(2048)}…`);
  });

  it("shows the newest eight of many", async () => {
    for (let index = 1; index <= 20; index += 1)
      await redis.client.xadd("orders", `${index}-0`, "event", `${index}`);
    const [stream] = (await look(["orders"])).streams;
    expect(stream?.entries?.map(({ entryId }) => entryId)).toEqual(
      [20, 19, 18, 17, 16, 15, 14, 13].map((index) => `${index}-0`),
    );
  });

  it("leaves out what the user may not ask, and asks for it once", async () => {
    const { client } = redis;
    await client.xadd("orders.events", "*", "event", "{}");
    await client.call("ACL", "SETUSER", "producer", ...documentedRights("producer"));
    await client.call("ACL", "LOG", "RESET");
    closing.push(() => client.call("ACL", "DELUSER", "producer"));
    const watch = opened({ uri: redis.uri.replace("://", "://producer:password@"), stream: "orders.events" });
    const first = await firstValueFrom(watch.look(["orders.events"]));
    const counts = async () => tablesOf(await client.call("ACL", "LOG")).map((table) => table.get("count"));
    const denied = await counts();
    await firstValueFrom(watch.look(["orders.events"]));
    expect(first).toMatchObject({
      memoryBytes: expect.any(Number),
      streams: [
        { stream: "orders.events", length: 1, memoryBytes: undefined, groups: undefined, entries: undefined },
      ],
    });
    expect(denied.length).toBeGreaterThan(0);
    expect(await counts()).toEqual(denied);
  });

  it("sees all with the rights that docs/connections.md names", async () => {
    const { client } = redis;
    await client.xadd("orders.events", "*", "event", "{}");
    await client.call(
      "ACL",
      "SETUSER",
      "producer",
      ...documentedRights("producer"),
      ...documentedExtra("producer", "the [dashboard](dashboard.md)'s streams, groups and entries"),
    );
    await client.call("ACL", "LOG", "RESET");
    closing.push(() => client.call("ACL", "DELUSER", "producer"));
    const uri = redis.uri.replace("://", "://producer:password@");
    const { streams } = await look(["orders.events"], { uri, stream: "orders.events" });
    expect(streams).toMatchObject([
      { length: 1, memoryBytes: expect.any(Number), groups: [], entries: [{ fields: [["event", "{}"]] }] },
    ]);
    expect(await client.call("ACL", "LOG")).toEqual([]);
  });

  it("looks at streams on several servers of a Cluster, and at the memory of all", async () => {
    const cluster = await startCluster();
    closing.push(() => cluster.stop());
    const owners = new Set<unknown>();
    for (const stream of ["a", "b", "c", "d"]) {
      const owner = await cluster.ownerOf(stream);
      owners.add(owner.port);
      await owner.client.xadd(stream, "*", "event", stream);
    }
    expect(owners.size).toBeGreaterThan(1);
    const { memoryBytes = 0, streams } = await look(["a", "b", "c", "d"], { uri: cluster.uri });
    expect(streams.map(({ entries }) => entries?.[0]?.fields[0]?.[1])).toEqual(["a", "b", "c", "d"]);
    const one = await cluster.ownerOf("a");
    const ofOne = Number(/used_memory:(\d+)/.exec(await one.client.info("memory"))?.[1]);
    expect(memoryBytes).toBeGreaterThan(2 * ofOne);
  });

  it("is not there for a Redis in memory", () => {
    const sink = redisSink({ id: "shop", connection: fakeRedis(), stream: "orders" });
    expect(sink.openWatch()).toBeUndefined();
  });
});
