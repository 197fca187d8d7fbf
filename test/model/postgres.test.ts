import fc from "fast-check";
import { type Subscription, timer } from "rxjs";
import { describe, expect, it } from "vitest";
import { type Lsn, redisSink, replicate } from "../../src/index.ts";
import type { OpenedSlot } from "../../src/sources/postgres/index.ts";
import { type FakeRedis, fakeRedis } from "../../src/testing/index.ts";
import { form, seed } from "../faults/harness/form.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";
import { type Change, postgresBed } from "../sources/postgres/postgresBed.ts";

const bed = postgresBed();
const stream = "orders";
const state = "{orders}:rxadd:shop";

const happenings = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ do: fc.constant("insert" as const), rows: fc.integer({ min: 1, max: 20 }) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("otherLog" as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("start" as const),
        acceptHole: fc.constantFrom(false, false, true),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant("crash" as const), rows: fc.nat(20), ms: fc.nat(5) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("loseAll" as const, "loseNewest" as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constantFrom("dropSlot" as const, "dropPublication" as const, "makePublication" as const),
      }),
    },
  ),
  { minLength: 2, maxLength: 9 },
);
type Happening = typeof happenings extends fc.Arbitrary<(infer A)[]> ? A : never;

interface Life {
  readonly errors: unknown[];
  readonly running: Subscription;
}

/** One history over a table, a slot and a publication that are new; what is wrong with it, if anything is. */
async function wrongWith(history: readonly Happening[]): Promise<string | undefined> {
  const { query } = bed;
  const redis: FakeRedis = fakeRedis();
  const positions: string[] = [];
  let rows = 0;
  /** What came before a first run, or was accepted to be missing. */
  let floor = 0;
  let life: Life | undefined;
  await reset();

  async function reset(): Promise<void> {
    await query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
    await query(`DROP PUBLICATION IF EXISTS ${bed.publication()}`);
    await query("TRUNCATE orders; CREATE TABLE IF NOT EXISTS busy (id int)");
  }

  async function stop(): Promise<void> {
    life?.running.unsubscribe();
    life = undefined;
    await bed.idle();
  }

  /** Waits until it reads, or is refused. */
  async function start(acceptHole: boolean): Promise<Life> {
    await stop();
    const errors: unknown[] = [];
    let isOpen = false;
    // Looked at from outside: what the source takes for a first run is what is tried here.
    const slots = await query("SELECT 1 FROM pg_replication_slots");
    const isFirstRun = slots.length === 0 && !redis.position("shop", stream);
    const next = ({ hole }: OpenedSlot) => {
      if (acceptHole ? isFirstRun || hole !== undefined : isFirstRun && !isOpen) floor = rows;
      isOpen = true;
    };
    const source = bed.source({ acceptHole, tables: ["public.orders"], opened: { next } });
    const sink = redisSink<Change, Lsn>({ id: "shop", connection: redis, stream });
    const running = replicate({ source, sink }).subscribe({ error: (error) => errors.push(error) });
    life = { errors, running };
    await waitUntil(() => isOpen || errors.length > 0, 2);
    return life;
  }

  async function insert(count: number): Promise<void> {
    if (count === 0) return;
    await query(`INSERT INTO orders SELECT generate_series(${rows + 1}, ${rows + count})`);
    rows += count;
  }

  async function take(happening: Happening): Promise<void> {
    const position = redis.position("shop", stream);
    if (position !== undefined && position !== "") positions.push(position);
    switch (happening.do) {
      case "insert":
        return insert(happening.rows);
      case "otherLog":
        await query("INSERT INTO busy SELECT generate_series(1, 100)");
        return;
      case "start":
        await start(happening.acceptHole);
        return;
      case "crash":
        await insert(happening.rows);
        await timer(happening.ms).forEach(() => {});
        return stop();
      case "loseAll":
        redis.del(stream);
        redis.del(state);
        return;
      case "loseNewest": {
        await stop();
        const earlier = positions.at(-2);
        if (earlier !== undefined) redis.setPosition("shop", earlier, stream);
        return;
      }
      case "dropSlot":
        await stop();
        await query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
        return;
      case "dropPublication":
        await query(`DROP PUBLICATION IF EXISTS ${bed.publication()}`);
        return;
      case "makePublication":
        await query(`DROP PUBLICATION IF EXISTS ${bed.publication()}`);
        await query(`CREATE PUBLICATION ${bed.publication()} FOR TABLE orders`);
        return;
    }
  }

  const inStream = () => redis.events(stream).map((event): number => JSON.parse(event).after.id);

  function missing(): readonly number[] {
    const there = new Set(inStream());
    return Array.from({ length: rows }, (_, index) => index + 1).filter((id) => id > floor && !there.has(id));
  }

  /** A row that is there twice, or out of order. */
  function misplaced(): number | undefined {
    const ids = inStream();
    return ids.find((id, index) => id <= (ids[index - 1] ?? 0));
  }

  // A position alone goes back, not the entries: these come again.
  const mayComeAgain = history.some(({ do: what }) => what === "loseNewest");
  const mayBeRefused = history.some(({ do: what }) => /^lose|^drop|^make|crash/.test(what));
  try {
    await start(false);
    for (const happening of history) await take(happening);
    for (const attempt of [1, 2]) {
      const { errors } = await start(false);
      await insert(1);
      await waitUntil(() => errors.length > 0 || missing().length === 0).catch(() => {});
      if (errors.length > 0 && !mayBeRefused)
        return `start ${attempt}: refused without a reason: ${errors.join()}`;
      if (errors.length === 0 && missing().length > 0) return `start ${attempt}: lacks ${missing().join()}`;
      if (!mayComeAgain && misplaced() !== undefined)
        return `start ${attempt}: row ${misplaced()} is doubled or out of order`;
    }
    return undefined;
  } finally {
    await stop();
  }
}

describe("PostgreSQL over the lives of processes", () => {
  it("leaves no hole that a start does not tell", { timeout: 1_800_000 }, async () => {
    let found: string | undefined;
    const property = fc.asyncProperty(happenings, async (history) => {
      const wrong = await wrongWith(history);
      found = wrong ?? found;
      return wrong === undefined;
    });

    const { counterexample } = await fc.check(property, {
      ...{ seed, numRuns: form === "long" ? 300 : 6 },
      endOnFailure: true,
    });

    expect(counterexample && `RXADD_SEED=${seed} ${JSON.stringify(counterexample)}: ${found}`).toBeNull();
  });
});
