import { filter, firstValueFrom, fromEvent, lastValueFrom, map, NEVER, range, Subject } from "rxjs";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { redisSink, type SinkOptions, type SinkStatus } from "../../src/index.ts";
import { openClient } from "../../src/redis/connect/client.ts";
import { link } from "../../src/redis/connect/link.ts";
import { readEvents } from "../kit/load/tally.ts";
import { type ClusterServers, startCluster } from "../kit/servers/clusterServers.ts";
import { freePort } from "../kit/servers/freePort.ts";
import { type SentinelServers, startSentinels } from "../kit/servers/sentinelServers.ts";

const timeout = 60_000;
type Numbered = { readonly position: number };

function sink(settings: { readonly uri: string } & Partial<SinkOptions<Numbered, number>>) {
  return redisSink<Numbered, number>({ id: "orders-redis", stream: "orders.events", ...settings });
}

async function publish(settings: Parameters<typeof sink>[0]): Promise<number | undefined> {
  const events$ = range(1, 3).pipe(map((position) => ({ position })));
  return (await lastValueFrom(events$.pipe(sink(settings)))).position;
}

/** The first reason for which a sink without events tries again. */
function firstRetry(uri: string): Promise<SinkStatus> {
  const statuses = new Subject<SinkStatus>();
  const running = NEVER.pipe(sink({ uri, status: statuses })).subscribe();
  onTestFinished(() => running.unsubscribe());
  return firstValueFrom(statuses.pipe(filter(({ state }) => state === "retrying")));
}

describe("redis-sentinel://", () => {
  let sentinels: SentinelServers;
  beforeAll(async () => {
    sentinels = await startSentinels({ replicas: 1, password: "s3cret", sentinelPassword: "watch" });
  }, timeout);
  afterAll(() => sentinels.stop());

  /** With the master's password. */
  function uri(password = "s3cret", name = sentinels.name): string {
    return `redis-sentinel://:${password}@${sentinels.ports.map((port) => `127.0.0.1:${port}`).join()}/${name}`;
  }

  it("publishes to the master", async () => {
    expect(await publish({ uri: uri(), sentinel: { password: "watch" } })).toBe(3);

    const { client } = await sentinels.master();
    expect(await readEvents(client, "orders.events")).toHaveLength(3);
  });

  it("comes back when a failover is told of while it asks for the master", async () => {
    const settings = { uri: uri(), sentinel: { password: "watch" }, name: "rxadd:test" };
    const client = openClient({ ...settings, connectTimeoutMs: 1000, sendTimeoutMs: 1000 });
    const { ready$, unsubscribe } = link(client, "Sentinel", "opened");
    onTestFinished(unsubscribe);
    await firstValueFrom(ready$);
    // What ioredis' failover detector does, at the moment at which it ends the client.
    const connector = Reflect.get(client, "connector");
    const resolve = connector.resolve;
    connector.resolve = async (endpoint: unknown) => {
      connector.resolve = resolve;
      const master = await resolve.call(connector, endpoint);
      connector.disconnect();
      return master;
    };
    const ended = firstValueFrom(fromEvent(client, "end"));

    client.disconnect(true);

    await ended;
    await firstValueFrom(ready$);
  });

  it("publishes to another database of the master", async () => {
    expect(await publish({ uri: `${uri()}/2`, sentinel: { password: "watch" } })).toBe(3);

    const other = (await sentinels.master()).client.duplicate({ db: 2 });
    expect(await other.xlen("orders.events")).toBe(3);
    other.disconnect();
  });

  it.each([
    [
      "the Sentinels' password is missing",
      () => ({ uri: uri() }),
      "AuthenticationFailed",
      "sentinel credentials",
    ],
    [
      "the Sentinels' password is wrong",
      () => ({ uri: uri(), sentinel: { password: "no" } }),
      "AuthenticationFailed",
      "sentinel credentials",
    ],
    [
      "the master's password is wrong",
      () => ({ uri: uri("no"), sentinel: { password: "watch" } }),
      "AuthenticationFailed",
      "check user and password in the URI",
    ],
    [
      "no Sentinel knows the master",
      () => ({ uri: uri("s3cret", "nobody"), sentinel: { password: "watch" } }),
      "UnknownMaster",
      "no Sentinel knows this master",
    ],
  ])("ends at once when %s", async (_what, settings, tag, message) => {
    const failure = publish(settings());

    await expect(failure).rejects.toMatchObject({ _tag: tag, message: expect.stringContaining(message) });
    await expect(failure).rejects.not.toMatchObject({ message: expect.stringContaining("s3cret") });
  });

  it("goes on trying, and says so, while no Sentinel answers", async () => {
    const port = await freePort();

    expect(await firstRetry(`redis-sentinel://127.0.0.1:${port}/m`)).toMatchObject({
      cause: { _tag: "Unreachable", message: expect.stringContaining("no Sentinel answers") },
    });
  });
});

describe("redis-cluster://", () => {
  let cluster: ClusterServers;
  beforeAll(async () => {
    cluster = await startCluster({ masters: 2 });
  }, timeout);
  afterAll(() => cluster.stop());

  it("publishes to the master of the stream's slot, whichever node it is told of", async () => {
    for (const [index, { port }] of cluster.nodes.entries()) {
      expect(
        await publish({ uri: `redis-cluster://127.0.0.1:${port}`, id: `a${index}`, stream: `s${index}` }),
      ).toBe(3);
      expect(await (await cluster.ownerOf(`s${index}`)).client.xlen(`s${index}`)).toBe(3);
    }
  });

  it("sets poison aside where the dead letters are in the stream's slot, and says so where they are not", async () => {
    const poison = { encode: () => JSON.stringify(1n) };

    const settings = { uri: cluster.uri, stream: "{orders}.events", event: poison };
    expect(await publish({ ...settings, deadLetters: { stream: "{orders}.dead" } })).toBe(3);

    const failure = publish({ ...settings, id: "other", deadLetters: { stream: "elsewhere" } });
    await expect(failure).rejects.toMatchObject({ _tag: "CrossSlot" });
  });

  it("refuses publish: multi, which needs one connection", async () => {
    const failure = publish({ uri: cluster.uri, publish: "multi" });

    await expect(failure).rejects.toMatchObject({ _tag: "ConfigurationInvalid" });
  });

  it("ends at once when the password is wrong", async () => {
    for (const { client } of cluster.nodes) await client.config("SET", "requirepass", "s3cret");

    const failure = publish({ uri: cluster.uri.replace("://", "://:no@") });

    await expect(failure).rejects.toMatchObject({ _tag: "AuthenticationFailed" });
    for (const { client } of cluster.nodes) await client.config("SET", "requirepass", "");
  });

  it("goes on trying, and says so, while no node answers", async () => {
    const port = await freePort();

    expect(await firstRetry(`redis-cluster://127.0.0.1:${port}`)).toMatchObject({
      cause: { _tag: "Unreachable", message: expect.stringContaining("no node of the Cluster answers") },
    });
  });
});
