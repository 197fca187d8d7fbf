import { firstValueFrom, lastValueFrom, ReplaySubject, skipWhile, take, toArray } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  acknowledge,
  type GroupFigures,
  groupDeliveries,
  type WatchGroupOptions,
  watchGroup,
} from "../../src/consumer.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { failureOf } from "../kit/program/failureOf.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const stream = "orders.events";
const group = "mailer";

const redis = emptyRedis();

async function add(entries: number, key = stream): Promise<void> {
  for (let n = 1; n <= entries; n += 1) await redis.client.xadd(key, `${n}-0`, "event", "{}");
}

/** What is told, and who waits for it. */
function watch(settings: Partial<WatchGroupOptions> = {}) {
  const told = new ReplaySubject<GroupFigures>();
  const watching = watchGroup({ uri: redis.uri, stream, group, everyMs: 5, ...settings }).subscribe(told);
  onTestFinished(() => watching.unsubscribe());
  return {
    told,
    watching,
    until: (isIt: (figures: GroupFigures) => boolean) =>
      firstValueFrom(told.pipe(skipWhile((figures) => !isIt(figures)))),
  };
}

describe("watchGroup", () => {
  it("tells how far a group is, at once and whenever that changes", async () => {
    await add(3);
    await redis.client.xgroup("CREATE", stream, group, "0");
    const { told, until } = watch();

    await until(({ lag }) => lag === 3);
    await redis.client.xreadgroup("GROUP", group, "one", "COUNT", 2, "STREAMS", stream, ">");
    await until(({ pending }) => pending === 2);
    await redis.client.xack(stream, group, "1-0");

    expect(await lastValueFrom(told.pipe(take(3), toArray()))).toEqual([
      { stream, group, length: 3, lag: 3, pending: 0, lastDeliveredId: "0-0", consumers: [] },
      expect.objectContaining({
        lag: 1,
        pending: 2,
        lastDeliveredId: "2-0",
        consumers: [{ name: "one", pending: 2, idleMs: expect.any(Number) }],
      }),
      expect.objectContaining({ lag: 1, pending: 1 }),
    ]);
  });

  it("follows a consumer until nothing is left", async () => {
    await add(50);
    const { until } = watch();
    const consuming = groupDeliveries({ uri: redis.uri, stream, group, blockMs: 200 })
      .pipe(acknowledge(() => undefined))
      .subscribe();
    onTestFinished(() => consuming.unsubscribe());

    const { consumers } = await until(({ lag, pending }) => lag === 0 && pending === 0);

    expect(consumers).toHaveLength(1);
  });

  it("waits for a stream or a group that is not there", async () => {
    const { until } = watch();
    await add(1);
    await redis.client.xgroup("CREATE", stream, group, "0");

    expect(await until(() => true)).toMatchObject({ lag: 1 });
  });

  it("tells of several streams", async () => {
    for (const key of [stream, "returns.events"]) {
      await add(2, key);
      await redis.client.xgroup("CREATE", key, group, "0");
    }
    const { until } = watch({ stream: [stream, "returns.events"] });

    expect(await until((figures) => figures.stream === stream)).toMatchObject({ lag: 2 });
    expect(await until((figures) => figures.stream === "returns.events")).toMatchObject({ lag: 2 });
  });

  it("says that the lag is unknown where Redis cannot tell", async () => {
    await add(5);
    await redis.client.xgroup("CREATE", stream, group, "0");
    await redis.client.xreadgroup("GROUP", group, "one", "COUNT", 1, "STREAMS", stream, ">");
    await redis.client.xdel(stream, "3-0");
    const { until } = watch();

    expect((await until(() => true)).lag).toBeUndefined();
  });

  it("goes on after a lost connection", async () => {
    await add(1);
    await redis.client.xgroup("CREATE", stream, group, "0");
    const proxy = await startProxy(redis.port);
    onTestFinished(() => proxy.stop());
    const { until } = watch({ uri: proxy.uri, retry: { initialMs: 1, maxMs: 5 } });
    await until(({ lag }) => lag === 1);

    proxy.reset();
    await redis.client.xadd(stream, "*", "event", "{}");

    expect(await until(({ lag }) => lag === 2)).toMatchObject({ length: 2 });
  });

  it("ends where the key is no stream, and names it", async () => {
    await redis.client.set(stream, "text");

    expect((await failureOf(watchGroup({ uri: redis.uri, stream, group })))._tag).toBe("WrongType");
  });

  it("closes its connection when it is unsubscribed", async () => {
    await add(1);
    await redis.client.xgroup("CREATE", stream, group, "0");
    const { watching, until } = watch();
    await until(() => true);

    watching.unsubscribe();

    await waitUntil(async () => !String(await redis.client.client("LIST")).includes(`rxadd:${group}`));
  });

  it("refuses options that cannot be", () => {
    expect(() => watchGroup({ uri: redis.uri, stream, group: "" })).toThrow(/group: found/);
    expect(() => watchGroup({ uri: redis.uri, stream, group, everyMs: 0 })).toThrow(/everyMs: found 0/);
  });
});
