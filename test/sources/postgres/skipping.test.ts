import { describe, expect, it } from "vitest";
import { redisSink, replicate } from "../../../src/index.ts";
import type { OpenedSlot, PostgresOptions } from "../../../src/sources/postgres/index.ts";
import { type FakeRedis, fakeRedis } from "../../../src/testing/index.ts";
import { postgresBed } from "./postgresBed.ts";

const bed = postgresBed();
const stream = "orders";

function start(redis: FakeRedis, options: Partial<PostgresOptions> = {}) {
  const sink = redisSink<{ readonly after: unknown }>({
    ...{ id: "shop", connection: redis, stream },
    event: {
      encode: ({ after }) => {
        const text = JSON.stringify(after);
        if (text.includes("poison")) throw new TypeError("poison");
        return text;
      },
    },
  });
  const failures: unknown[] = [];
  const running = replicate({ source: bed.source({ acceptHole: false, ...options }), sink }).subscribe({
    error: (error) => failures.push(error),
  });
  return { failures, running };
}

const ids = (redis: FakeRedis) => redis.events(stream).map((text) => JSON.parse(text).id);

describe("a transaction that cannot be published", () => {
  it("is passed over when the slot is moved past its commit by hand, and the hole is accepted once", async () => {
    const redis = fakeRedis();
    const first = start(redis);
    await bed.reading();
    await bed.query("INSERT INTO orders VALUES (1, 'tea')");
    await bed.query("INSERT INTO orders VALUES (2, 'tea'), (3, 'poison')");
    await bed.query("INSERT INTO orders VALUES (4, 'tea')");
    await expect.poll(() => first.failures).toHaveLength(1);
    await bed.idle();
    expect(first.failures).toMatchObject([{ _tag: "EventNotEncodable" }]);
    // The event's name says where its transaction was committed.
    const lsn = /event postgres\/([0-9A-F]+\/[0-9A-F]+):2:/.exec(`${first.failures[0]}`)?.[1];
    const again = start(redis);
    await expect.poll(() => again.failures).toHaveLength(1);
    await bed.idle();

    await bed.query(`SELECT pg_replication_slot_advance('${bed.slot()}', '${lsn}'::pg_lsn + 1)`);

    const refused = start(redis);
    await expect.poll(() => refused.failures).toMatchObject([{ _tag: "PositionUnavailable" }]);
    const holes: OpenedSlot[] = [];
    const accepting = start(redis, { acceptHole: true, opened: { next: (slot) => holes.push(slot) } });
    await expect.poll(() => ids(redis)).toEqual([1, 4]);
    expect(holes[0]?.hole).toContain("were acknowledged and slot");
    accepting.running.unsubscribe();
    await bed.idle();

    await bed.query("INSERT INTO orders VALUES (5, 'tea')");
    const next = start(redis);
    await expect.poll(() => ids(redis)).toEqual([1, 4, 5]);
    next.running.unsubscribe();
  });
});
