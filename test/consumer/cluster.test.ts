import { filter, firstValueFrom, lastValueFrom, map, range, Subject, take, tap, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { destroyGroup, redrive } from "../../src/admin/index.ts";
import {
  acknowledge,
  deadLetter,
  deduplicate,
  effects,
  groupDeliveries,
  streamEntries,
} from "../../src/consumer.ts";
import { redisSink } from "../../src/index.ts";
import { aCluster } from "../kit/servers/aCluster.ts";

interface Order {
  readonly id: string;
  readonly n: number;
}

const stream = "{orders}.events";
const group = "mailer";

const bed = aCluster({ replicasPerMaster: 1 });

function publish(from: number, count: number) {
  return lastValueFrom(
    range(from, count).pipe(
      map((n) => ({ id: `o${n}`, n, position: n })),
      redisSink({ id: "orders-redis", uri: bed().uri, stream }),
    ),
  );
}

describe("groupDeliveries in a Cluster", () => {
  it("handles each entry and writes each effect once, while the master of the stream changes", async () => {
    await publish(1, 1000);
    const until = new Subject<void>();
    let handled = 0;

    await lastValueFrom(
      groupDeliveries<Order>({
        uri: bed().uri,
        stream,
        group,
        until,
        window: 100,
        blockMs: 200,
        claimIdleMs: 2000,
      }).pipe(
        deduplicate({ key: ({ id }) => id }),
        acknowledge(async ({ id, n }) => {
          if (n === 400) await bed().failover(await bed().ownerOf(stream));
          return effects(["HINCRBY", "{orders}.effects", id, 1]);
        }),
        tap(() => {
          handled += 1;
          if (handled === 1000) until.next();
        }),
      ),
    );

    const written = await bed().client.hvals("{orders}.effects");
    expect(written).toHaveLength(1000);
    expect(written.every((times) => times === "1")).toBe(true);
    expect((await bed().client.xpending(stream, group))[0]).toBe(0);
  });

  it("sets deliveries aside into a stream of the same slot", async () => {
    const until = new Subject<void>();
    await publish(1001, 1);

    await lastValueFrom(
      groupDeliveries<Order>({
        connection: bed().client,
        stream,
        group,
        until,
        blockMs: 200,
        maxDeliveries: 1,
        deadLetters: { stream: "{orders}.dead" },
        status: { next: ({ state }) => state === "deadLetter" && until.next() },
      }).pipe(
        acknowledge(() => {
          throw new Error("no such customer");
        }),
      ),
      { defaultValue: undefined },
    );

    const [[, fields = []] = []] = await bed().client.xrange("{orders}.dead", "-", "+");
    expect(fields).toContain("no such customer");
  });
});

describe("what is settled in a Cluster", () => {
  it("leaves its stream, and its dead letters go back there", async () => {
    const [numbers, dead] = ["{shop}.events", "{shop}.dead"];
    for (const n of [1, 2, 3])
      await bed().client.xadd(numbers, "*", "event", JSON.stringify({ id: `o${n}`, n }));
    const consumed = async (isBroken: boolean, count: number) => {
      const until = new Subject<void>();
      let settled = 0;
      const one = () => {
        settled += 1;
        if (settled === count) until.next();
      };
      await lastValueFrom(
        groupDeliveries<Order>({
          uri: bed().uri,
          stream: numbers,
          group,
          until,
          blockMs: 200,
          deadLetters: { stream: dead },
          status: { next: ({ state }) => state === "deadLetter" && one() },
        }).pipe(
          acknowledge(({ n }) => (isBroken && n === 2 ? deadLetter("no customer") : undefined), {
            remove: true,
          }),
          tap(one),
        ),
        { defaultValue: undefined },
      );
    };

    await consumed(true, 3);
    expect([await bed().client.xlen(numbers), await bed().client.xlen(dead)]).toEqual([0, 1]);

    const [letter] = await lastValueFrom(redrive({ uri: bed().uri, stream: dead }).pipe(toArray()));
    expect(letter).toMatchObject({ stream: numbers, state: "redriven", reason: "no customer" });
    expect([await bed().client.xlen(numbers), await bed().client.xlen(dead)]).toEqual([1, 0]);

    await consumed(false, 1);
    expect([await bed().client.xlen(numbers), await bed().client.xlen(dead)]).toEqual([0, 0]);
    expect(await firstValueFrom(destroyGroup({ connection: bed().client, stream: numbers }, group))).toBe(
      true,
    );
  });
});

describe("an effect in a Cluster whose key stands in another slot", () => {
  it("fails its own delivery, and no other one", async () => {
    const [numbers, dead] = ["{numbers}.events", "{numbers}.dead"];
    for (const n of [1, 2, 3])
      await bed().client.xadd(numbers, "*", "event", JSON.stringify({ id: `o${n}`, n }));
    const until = new Subject<void>();
    const settled = new Set<number>();
    const one = (n: number) => settled.add(n).size === 3 && until.next();

    await lastValueFrom(
      groupDeliveries<Order>({
        uri: bed().uri,
        stream: numbers,
        group,
        until,
        blockMs: 200,
        maxDeliveries: 2,
        redelivery: { initialMs: 1 },
        deadLetters: { stream: dead },
        status: { next: ({ state }) => state === "deadLetter" && one(2) },
      }).pipe(
        acknowledge(({ n }) => effects(["INCR", n === 2 ? "total" : "{numbers}.total"])),
        tap(({ delivery }) => one(delivery.event.n)),
      ),
    );

    expect(await bed().client.get("{numbers}.total")).toBe("2");
    const [[, fields = []] = []] = await bed().client.xrange(dead, "-", "+");
    expect(fields[1]).toBe('{"id":"o2","n":2}');
    expect(fields[fields.indexOf("reason") + 1]).toBe(
      "an effect has a key in another slot than {numbers}.events: give it the same hash tag, {numbers}",
    );
    expect((await bed().client.xpending(numbers, group))[0]).toBe(0);
  });
});

describe("streamEntries in a Cluster", () => {
  it("reads a stream from its beginning", async () => {
    const last = await lastValueFrom(
      streamEntries<Order>({ uri: bed().uri, stream, from: "0-0" }).pipe(
        map(({ event }) => event.n),
        filter((n) => n === 1000),
        take(1),
      ),
    );

    expect(last).toBe(1000);
  });
});
