import { firstValueFrom, lastValueFrom, map, Subject, take, tap, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import {
  createGroup,
  destroyGroup,
  removeConsumer,
  type StreamOptions,
  setGroup,
  streamGroups,
} from "../../src/admin/index.ts";
import { acknowledge, deduplicate, groupDeliveries } from "../../src/consumer.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

const stream = "orders.events";
const group = "mailer";
const redis = emptyRedis();
const at = (): StreamOptions => ({ uri: redis.uri, stream });

async function fill(): Promise<void> {
  for (const ms of [1000, 2000, 3000])
    await redis.client.xadd(stream, `${ms}-0`, "event", JSON.stringify({ ms }));
}

/** What a consumer of the group gets. */
async function read(count: number): Promise<readonly number[]> {
  const until = new Subject<void>();
  let seen = 0;
  return lastValueFrom(
    groupDeliveries<{ ms: number }>({ uri: redis.uri, stream, group, blockMs: 100, until }).pipe(
      deduplicate({ key: ({ ms }) => `${ms}` }),
      acknowledge(() => undefined),
      tap(() => {
        seen += 1;
        if (seen === count) until.next();
      }),
      map(({ delivery }) => delivery.event.ms),
      toArray(),
    ),
  );
}

describe("createGroup", () => {
  it.each<[string | Date | undefined, string]>([
    [undefined, "0-0"],
    ["$", "3000-0"],
    ["2000-0", "2000-0"],
    [new Date(2000), "1999-18446744073709551615"],
    [new Date(0), "0-0"],
  ])("begins at %s", async (start, lastDeliveredId) => {
    await fill();

    expect(await firstValueFrom(createGroup(at(), { group, start }))).toBe(true);
    expect(await firstValueFrom(streamGroups(at()))).toMatchObject([{ group, lastDeliveredId }]);
  });

  it("makes the stream, and leaves a group that is there as it is", async () => {
    expect(await firstValueFrom(createGroup(at(), { group }))).toBe(true);
    await fill();
    expect(await firstValueFrom(createGroup(at(), { group, start: "$" }))).toBe(false);
    expect(await read(3)).toEqual([1000, 2000, 3000]);
  });
});

describe("setGroup", () => {
  it("lets a group read from a time on again, or leave out what is there", async () => {
    await fill();
    await firstValueFrom(createGroup(at(), { group, start: "$" }));

    expect(await firstValueFrom(setGroup(at(), { group, to: new Date(2000) }))).toBe(
      "1999-18446744073709551615",
    );
    expect(await read(2)).toEqual([2000, 3000]);
    expect(await firstValueFrom(setGroup(at(), { group, to: "$" }))).toBe("$");
    await redis.client.xadd(stream, "4000-0", "event", '{"ms":4000}');
    expect(await read(1)).toEqual([4000]);
  });

  it.each<[object, RegExp]>([
    [{ group, to: "yesterday" }, /setGroup: to: found yesterday, expected an entry ID such as/],
    [{ group, to: new Date(Number.NaN) }, /to: found .*, expected/],
    [{ group }, /to: found nothing/],
    [{ group: "", to: "$" }, /group: found ""/],
  ])("refuses %o", async (options, message) => {
    await expect(firstValueFrom(setGroup(at(), options as never))).rejects.toThrow(message);
  });

  it("fails where there is no such group", async () => {
    await fill();
    await expect(firstValueFrom(setGroup(at(), { group, to: "$" }))).rejects.toThrow(/NOGROUP/);
  });
});

describe("destroyGroup", () => {
  it("leaves nothing of it, also not what deduplicate remembers", async () => {
    await fill();
    expect(await read(3)).toHaveLength(3);
    expect(await redis.client.keys("*processed*")).toHaveLength(1);

    expect(await firstValueFrom(destroyGroup(at(), group))).toBe(true);
    expect(await redis.client.keys("*")).toEqual([stream]);
    expect(await firstValueFrom(destroyGroup(at(), group))).toBe(false);
    expect(await read(3)).toHaveLength(3);
  });

  it("finds none where the stream is gone, and leaves nothing of it", async () => {
    await fill();
    await read(3);
    await redis.client.del(stream);

    expect(await firstValueFrom(destroyGroup(at(), group))).toBe(false);
    expect(await redis.client.keys("*")).toEqual([]);
  });
});

describe("removeConsumer", () => {
  it("takes out one that holds nothing, and no other one", async () => {
    await fill();
    await redis.client.xgroup("CREATE", stream, group, "0");
    await redis.client.xreadgroup("GROUP", group, "dead", "COUNT", 1, "STREAMS", stream, ">");
    const remove = () => firstValueFrom(removeConsumer(at(), { group, consumer: "dead" }));

    expect(await remove()).toBe(false);
    expect((await redis.client.xpending(stream, group))[0]).toBe(1);
    await redis.client.xack(stream, group, "1000-0");
    expect(await remove()).toBe(true);
    expect(await redis.client.xinfo("CONSUMERS", stream, group)).toEqual([]);
  });

  it("fails where there is no such group", async () => {
    await fill();
    const removing = removeConsumer(at(), { group, consumer: "dead" }).pipe(take(1));
    await expect(firstValueFrom(removing)).rejects.toThrow(/NOGROUP/);
  });
});
