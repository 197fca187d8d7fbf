import { lastValueFrom, take } from "rxjs";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { acknowledge } from "../../src/consumer.ts";
import { group, ordersGroup, stream } from "../kit/load/ordersGroup.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const redis = emptyRedis();
const { add, deliveries, pending, consumers } = ordersGroup(redis);

beforeEach(() => redis.client.xgroup("CREATE", stream, group, "0", "MKSTREAM"));

const quick = { claimIdleMs: 40, removeIdleMs: 40, blockMs: 10 };
const said = () => redis.client.hgetall(`{${stream}}:rxadd:${group}:consumers`);

/** Runs until the test is over; what comes is acknowledged. */
function handles(source: ReturnType<typeof deliveries>): void {
  const running = source.pipe(acknowledge(() => undefined)).subscribe();
  onTestFinished(() => running.unsubscribe());
}

const living = (settings: Parameters<typeof deliveries>[0] = {}) =>
  handles(deliveries({ ...quick, ...settings }));

/** Has one entry and is killed. */
const killed = (consumer: string) => lastValueFrom(deliveries({ ...quick, consumer }).pipe(take(1)));

/** Until what looks after the group has looked a few times. */
async function looks(times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) {
    await redis.client.config("RESETSTAT");
    await waitUntil(async () => (await redis.client.info("commandstats")).includes("cmdstat_xpending"));
  }
}

describe("a consumer that was killed", () => {
  it("is taken out of the group once others have what it held", async () => {
    await add(1, 2);
    await killed("gone");
    await killed("gone too");
    expect(await consumers()).toEqual(["gone", "gone too"]);

    living();

    await waitUntil(async () => (await consumers()).join() === "one");
    expect(await pending()).toBe(0);
    expect(await said()).toEqual({ one: "40" });
  });

  it("stays while it holds anything, such as what nobody may claim yet", async () => {
    await add(1);
    await lastValueFrom(deliveries({ ...quick, claimIdleMs: 60_000, consumer: "patient" }).pipe(take(1)));

    living();

    await looks(5);
    expect(await consumers()).toContain("patient");
    expect(await pending()).toBe(1);
  });

  it("stays with Infinity, and by default for an hour", async () => {
    await add(1);
    await killed("gone");
    living({ removeIdleMs: Number.POSITIVE_INFINITY });
    handles(deliveries({ consumer: "two", claimIdleMs: 40, blockMs: 10 }));

    await waitUntil(async () => (await pending()) === 0);
    await looks(5);
    expect(await consumers()).toContain("gone");
  });
});

describe("a consumer that lives", () => {
  it("stays however long it has nothing to do", async () => {
    living();
    living({ consumer: "two" });

    await waitUntil(async () => (await consumers()).length === 2);
    await looks(10);
    expect((await consumers()).toSorted()).toEqual(["one", "two"]);
  });

  it("stays, however patient it is, beside one that is not", async () => {
    living({ claimIdleMs: 60_000, consumer: "patient" });
    await waitUntil(async () => (await consumers()).length === 1);

    living();

    await waitUntil(async () => (await consumers()).length === 2);
    await looks(5);
    expect(await consumers()).toContain("patient");
  });

  it("of another kind is left alone", async () => {
    await redis.client.xgroup("CREATECONSUMER", stream, group, "python");

    living();

    await waitUntil(async () => (await consumers()).length === 2);
    await looks(5);
    expect(await consumers()).toContain("python");
  });

  it("is back with its next entry if it was taken out while it waited, and says anew what is known of it", async () => {
    living({ claimIdleMs: 400 });
    await waitUntil(async () => (await consumers()).length === 1);
    await redis.client.xgroup("DELCONSUMER", stream, group, "one");
    await redis.client.hdel(`{${stream}}:rxadd:${group}:consumers`, "one");

    await add(1);

    await waitUntil(async () => (await consumers()).join() === "one" && (await pending()) === 0);
    await waitUntil(async () => (await said()).one === "400");
  });
});
