import { BehaviorSubject, lastValueFrom, map, range, Subject, tap } from "rxjs";
import { describe, expect, it } from "vitest";
import type { Flow } from "../../operators/index.ts";
import { fromIterable, redisSink } from "../../src/index.ts";
import { readEvents } from "../kit/load/tally.ts";
import { usedMiB } from "../kit/load/usedMemory.ts";
import { aCluster } from "../kit/servers/aCluster.ts";
import type { RedisServer } from "../kit/servers/redisServer.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const bed = aCluster();

/** A key that stands on a node. */
async function keyOf(node: RedisServer): Promise<string> {
  for (let n = 0; ; n += 1) if ((await bed().ownerOf(`on-${n}`)) === node) return `on-${n}`;
}

function lengths(keys: readonly string[]): Promise<number[]> {
  return Promise.all(keys.map((key) => bed().client.xlen(key)));
}

describe("redisSink over a Cluster of the caller's", () => {
  it("publishes to streams on all nodes, each exactly once and in order", async () => {
    const events$ = range(1, 3000).pipe(map((n) => ({ n, position: n, shard: n % 10 })));
    const settings = { id: "orders-redis", connection: bed().client, stream: "orders.${shard}" };

    await lastValueFrom(events$.pipe(redisSink(settings)));
    const checkpoint = await lastValueFrom(events$.pipe(redisSink(settings)));

    expect(checkpoint.position).toBe(3000);
    const perNode = await Promise.all(
      bed().nodes.map(async ({ client }) => (await client.keys("orders.*")).length),
    );
    expect(perNode.every((keys) => keys > 0)).toBe(true);
    for (const { client } of bed().nodes) {
      for (const key of await client.keys("orders.*")) {
        const shard = Number(key.split(".")[1]);
        const numbers = (await readEvents(client, key)).map((event) => JSON.parse(event).n);
        expect(numbers).toEqual(
          Array.from({ length: 3000 }, (_, i) => i + 1).filter((n) => n % 10 === shard),
        );
      }
    }
  });

  it("needs no more memory for many streams than for few", { timeout: 120_000 }, async () => {
    const streams = 12_000;
    const flow = new BehaviorSubject<Flow>("resume");
    const events = Array.from({ length: streams }, (_, n) => ({ n, position: n + 1 }));
    const sink = redisSink<(typeof events)[number], number>({
      ...{ id: "many", connection: bed().client, stream: "user.${n}", flow },
      // 200 lanes, and 1,000 in mind.
      buffer: { maxEvents: 2000 },
    });
    const before = usedMiB();
    let growth = 0;

    const last = await lastValueFrom(
      fromIterable(events, flow).pipe(
        sink,
        tap(({ position }) => {
          if (position !== undefined && position > streams * 0.9) growth ||= usedMiB() - before;
        }),
      ),
    );

    expect(last.position).toBe(streams);
    // A lane each would take some 200.
    expect(growth).toBeLessThan(50);
  });

  it("publishes to all other nodes while one hangs", async () => {
    const events$ = new Subject<{ readonly position: number; readonly stream: string }>();
    const keys = await Promise.all(bed().nodes.map((node) => keyOf(node)));
    const [frozen, ...others] = bed().nodes;
    const publishing = lastValueFrom(
      events$.pipe(redisSink({ id: "frozen", connection: bed().client, stream: "${stream}", window: 1 })),
    );
    for (const [index, stream] of keys.entries()) events$.next({ position: index + 1, stream });
    await waitUntil(async () => (await lengths(keys)).every((length) => length === 1));

    await frozen?.signal("SIGSTOP");
    for (let round = 1; round <= 5; round += 1) {
      for (const [index, stream] of keys.entries()) events$.next({ position: 3 * round + index + 1, stream });
      await waitUntil(async () =>
        (await Promise.all(others.map(({ client }, at) => client.xlen(keys[at + 1] ?? "")))).every(
          (length) => length === round + 1,
        ),
      );
    }
    await frozen?.signal("SIGCONT");
    events$.complete();

    expect((await publishing).position).toBe(18);
    expect(await lengths(keys)).toEqual([6, 6, 6]);
  });

  it("keeps a stream key's own hash tag", async () => {
    const event$ = range(1, 5).pipe(map((position) => ({ position })));

    await lastValueFrom(
      event$.pipe(redisSink({ id: "a", connection: bed().client, stream: "{shop}.orders" })),
    );

    expect(await bed().client.hget("{shop}.orders:rxadd:a", "position")).toBe("5");
  });

  it("refuses publish: multi, which needs one connection", () => {
    const failure = lastValueFrom(
      range(1, 1).pipe(
        map((position) => ({ position })),
        redisSink({ id: "a", connection: bed().client, stream: "s", publish: "multi" }),
      ),
    );

    return expect(failure).rejects.toMatchObject({ _tag: "ConfigurationInvalid" });
  });
});
