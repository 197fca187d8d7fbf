import { BehaviorSubject, NEVER, Subject, tap } from "rxjs";
import { describe, expect, it } from "vitest";
import type { FailedAttempt } from "../../../operators/retryBackoff.ts";
import { type Flow, isRxaddError, type Lsn } from "../../../src/index.ts";
import { collect, postgresBed, upTo } from "./postgresBed.ts";

const bed = postgresBed();

function insert(from: number, to: number): Promise<unknown> {
  return bed.query(`INSERT INTO orders SELECT n, repeat('x', 200), n FROM generate_series(${from}, ${to}) n`);
}

/** The tags of the errors after which a source tried again. */
function retries() {
  const tags: string[] = [];
  const failed = {
    next: ({ error }: FailedAttempt) => tags.push(isRxaddError(error) ? error._tag : String(error)),
  };
  return { tags, failed };
}

/** Short enough for a test to see what happens when one side falls silent. */
async function withSenderTimeout(timeout: string, test: () => Promise<void>): Promise<void> {
  await bed.query(`ALTER ROLE postgres SET wal_sender_timeout = '${timeout}'`);
  try {
    await test();
  } finally {
    await bed.query("ALTER ROLE postgres RESET ALL");
  }
}

describe("a position to go on from", () => {
  it("is gone on from strictly, also in the middle of a transaction", async () => {
    await bed.openSlot();
    await insert(1, 10);
    await insert(11, 20);
    const events = await bed.read(20);

    for (const done of [1, 4, 9, 10, 11, 19]) {
      const from = events[done - 1]?.position as Lsn;
      expect(await bed.read(20 - done, from)).toEqual(events.slice(done));
    }
  });

  it("is gone on from without loss or duplicates when process and server have restarted", async () => {
    await bed.openSlot();
    await insert(1, 10);
    const before = bed.source();
    const first = collect(before(undefined, NEVER));
    await first.has(10);
    before.acknowledge?.(first.position(3));
    first.unsubscribe();
    await bed.restart();
    await insert(11, 20);

    const rest = await bed.read(16, first.position(3));

    expect([...first.ids().slice(0, 4), ...rest.map(({ after }) => after?.id)]).toEqual(upTo(20));
  });

  it("may lie before what was acknowledged, as long as the server was not told to forget it", async () => {
    await bed.openSlot();
    await insert(1, 3);
    const changes = bed.source();
    const first = collect(changes(undefined, NEVER));
    await first.has(3);
    changes.acknowledge?.(first.position(1));
    first.unsubscribe();

    const again = collect(changes(first.position(0), NEVER));
    await again.has(2);
    again.unsubscribe();

    expect(again.events).toEqual(first.events.slice(1));
  });
});

describe("what is no longer available", () => {
  it("ends the source, rather than be skipped, once the server was told to forget it", async () => {
    await bed.openSlot();
    await insert(1, 1);
    await insert(2, 2);
    const start = await bed.confirmedLsn();
    const changes = bed.source();
    const first = collect(changes(undefined, NEVER));
    await first.has(2);
    changes.acknowledge?.(first.position(1));
    await expect.poll(bed.confirmedLsn).not.toBe(start);
    first.unsubscribe();

    const strict = bed.source({ acceptHole: false });
    for (const from of [undefined, first.position(0)]) {
      const { failures } = collect(strict(from, NEVER));
      await expect.poll(() => failures).toMatchObject([{ _tag: "PositionUnavailable" }]);
    }
    const last = collect(strict(first.position(1), NEVER));
    await insert(3, 3);
    await last.has(1);
    last.unsubscribe();
    expect(last.ids()).toEqual([3]);
  });

  it("ends the source when its slot has been dropped in between", async () => {
    await bed.openSlot();
    await insert(1, 1);
    const [event] = await bed.read(1);
    await bed.idle();
    await bed.query(`SELECT pg_drop_replication_slot('${bed.slot()}')`);
    await insert(2, 2);

    const from = event?.position as Lsn;
    const failure = await bed.read(1, from, { acceptHole: false }).catch((error) => error);

    expect(failure).toMatchObject({ _tag: "PositionUnavailable" });
    expect(failure.message).toContain(bed.slot());
    expect(await bed.query("SELECT 1 FROM pg_replication_slots")).toEqual([]);
  });

  it("ends the source when the server has removed the log that its slot needs", async () => {
    await bed.openSlot();
    await bed.query("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
    await bed.query("SELECT pg_reload_conf()");
    for (let segment = 0; segment < 4; segment += 1) {
      await insert(1 + segment * 10, 10 + segment * 10);
      await bed.query("SELECT pg_switch_wal()");
    }
    await bed.query("CHECKPOINT");
    await bed.query("ALTER SYSTEM RESET max_slot_wal_keep_size");
    await bed.query("SELECT pg_reload_conf()");

    expect(await bed.read(1).catch((error) => error)).toMatchObject({ _tag: "PositionUnavailable" });
  });

  it("ends the source on a server whose log has yet to reach the position", async () => {
    await bed.openSlot();

    const failure = await bed.read(1, "FFFFFFFF/0:1" as Lsn).catch((error) => error);

    expect(failure).toMatchObject({ _tag: "PositionUnavailable" });
    expect(failure.message).toContain("another server");
  });
});

describe("acknowledge", () => {
  it("lets the server forget what went before the acknowledged change's transaction, and no part of that one", async () => {
    await bed.openSlot();
    await insert(1, 3);
    await insert(4, 4);
    const changes = bed.source();
    const reading = collect(changes(undefined, NEVER));
    await reading.has(4);

    changes.acknowledge?.(reading.position(1));
    reading.unsubscribe();
    await bed.idle();

    const again = bed.source();
    const rest = collect(again(undefined, NEVER));
    await rest.has(4);
    expect(rest.ids()).toEqual([1, 2, 3, 4]);
    again.acknowledge?.(rest.position(3));
    await expect.poll(bed.confirmedLsn).toBe(rest.position(3).replace(/:.*$/, ""));
    rest.unsubscribe();
    await bed.idle();
    expect((await bed.read(1))[0]?.id).toBe(rest.events[3]?.id);
  });

  it("is the only thing that lets the server forget, however often the server asks", async () => {
    await withSenderTimeout("900ms", async () => {
      await bed.openSlot();
      await insert(1, 3);
      const start = await bed.confirmedLsn();
      const changes = bed.source();
      const reading = collect(changes(undefined, NEVER));
      await reading.has(3);
      const pid = await bed.activePid();
      const replied = "SELECT reply_time::text AS at FROM pg_stat_replication";
      const [first] = await bed.query(replied);

      await expect.poll(async () => (await bed.query(replied))[0]).not.toEqual(first);

      expect(await bed.confirmedLsn()).toBe(start);
      expect(await bed.activePid()).toBe(pid);
      reading.unsubscribe();
    });
  });

  it("is not waited for: while nothing is stored yet the server is answered, and told of nothing", async () => {
    await withSenderTimeout("900ms", async () => {
      await bed.openSlot();
      const start = await bed.confirmedLsn();
      const changes = bed.source();
      const storing = changes.passed?.subscribe();
      const reading = collect(changes(undefined, NEVER));
      await bed.reading();

      const replies = "SELECT reply_time IS NOT NULL AS told FROM pg_stat_replication";
      await expect.poll(() => bed.query(replies)).toEqual([{ told: true }]);

      expect(await bed.confirmedLsn()).toBe(start);
      reading.unsubscribe();
      storing?.unsubscribe();
    });
  });

  it("is not needed for log that does not concern the published tables", async () => {
    await withSenderTimeout("900ms", async () => {
      await bed.query("CREATE TABLE busy (id int)");
      const reading = collect(bed.source({ tables: ["public.orders"] })(undefined, NEVER));
      await bed.reading();
      await bed.query("INSERT INTO busy SELECT generate_series(1, 1000)");
      const [{ lsn }] = (await bed.query("SELECT pg_current_wal_lsn() AS lsn")) as [{ lsn: string }];

      await expect
        .poll(() => bed.query(`SELECT 1 FROM pg_replication_slots WHERE confirmed_flush_lsn >= '${lsn}'`))
        .toHaveLength(1);
      reading.unsubscribe();
    });
  });
});

describe("flow", () => {
  it("stops reading while it says pause, and nothing is lost when it goes on", async () => {
    await bed.openSlot();
    await insert(1, 100_000);
    const flow = new BehaviorSubject<Flow>("resume");
    let sum = 0;
    let count = 0;
    const changes$ = bed
      .source()(undefined, flow)
      .pipe(
        tap(({ after }) => {
          sum += Number(after?.id);
          count += 1;
          if (count === 1000) flow.next("pause");
        }),
      );
    const reading = collect(changes$);
    await reading.has(1000);

    // The server is done with all it can send: it waits for us to read.
    const waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event IN ('WalSenderWriteData', 'ClientWrite')";
    await expect.poll(() => bed.query(waits)).toHaveLength(1);
    expect(count).toBeLessThan(5000);
    flow.next("resume");
    await reading.has(100_000);
    reading.unsubscribe();

    expect(sum).toBe((100_000 * 100_001) / 2);
  });

  it("does not let the server end the connection, however long it says pause", async () => {
    await withSenderTimeout("600ms", async () => {
      await bed.openSlot();
      await insert(1, 50_000);
      const { tags, failed } = retries();
      const flow = new BehaviorSubject<Flow>("pause");
      const reading = collect(bed.source({ failed })(undefined, flow));
      await bed.reading();
      const pid = await bed.activePid();
      const paused = "SELECT now() - backend_start > interval '3 s' AS long FROM pg_stat_replication";

      await expect.poll(() => bed.query(paused)).toEqual([{ long: true }]);
      // It reads nothing meanwhile: the server waits.
      const waits =
        "SELECT 1 FROM pg_stat_activity WHERE wait_event IN ('WalSenderWriteData', 'ClientWrite')";
      await expect.poll(() => bed.query(waits)).toHaveLength(1);

      expect(reading.events).toEqual([]);
      expect(await bed.activePid()).toBe(pid);
      flow.next("resume");
      await reading.has(50_000);
      reading.unsubscribe();
      expect(tags).toEqual([]);
    });
  });
});

describe("a lost connection", () => {
  it("is opened again, without loss or duplicates, when the server ends it ten times", async () => {
    await bed.openSlot();
    const reading = collect(bed.source()(undefined, NEVER));
    for (let start = 0; start < 5000; start += 500) {
      await insert(start + 1, start + 500);
      await bed.query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active");
    }
    await reading.has(5000);
    reading.unsubscribe();

    expect(reading.ids()).toEqual(upTo(5000));
  });

  it("is gone on from in the middle of a transaction", async () => {
    await bed.openSlot();
    await insert(1, 120_000);
    const flow = new BehaviorSubject<Flow>("resume");
    const { tags, failed } = retries();
    let count = 0;
    let pauseAt = 500;
    const changes$ = bed
      .source({ failed })(undefined, flow)
      .pipe(
        tap(() => {
          count += 1;
          if (count === pauseAt) flow.next("pause");
        }),
      );
    const reading = collect(changes$);
    for (const losses of [1, 2]) {
      await reading.has(pauseAt);
      await bed.query(`SELECT pg_terminate_backend(${await bed.activePid()})`);
      flow.next("resume");
      // What the system has taken in until then is read first.
      await expect.poll(() => tags.length).toBe(losses);
      pauseAt = losses === 1 ? count + 1000 : 0;
    }
    await reading.has(120_000);
    reading.unsubscribe();

    expect(reading.ids()).toEqual(upTo(120_000));
    expect(reading.events.filter(({ transaction }) => transaction?.last)).toHaveLength(1);
  });

  it("is opened again when the server restarts", async () => {
    await bed.openSlot();
    const reading = collect(bed.source()(undefined, NEVER));
    await insert(1, 100);
    await reading.has(50);
    await bed.restart();
    await insert(101, 200);
    await reading.has(200);
    reading.unsubscribe();

    expect(reading.ids()).toEqual(upTo(200));
  });

  it("is noticed when the server says nothing any more", async () => {
    await withSenderTimeout("600ms", async () => {
      const { tags, failed } = retries();
      const reading = collect(bed.source({ failed })(undefined, NEVER));
      await bed.reading();
      const pid = await bed.activePid();
      process.kill(pid, "SIGSTOP");
      try {
        await expect.poll(() => tags[0]).toBe("ConnectionLost");
        await expect.poll(() => tags.includes("SlotInUse")).toBe(true);
      } finally {
        process.kill(pid, "SIGCONT");
      }
      await insert(1, 10);
      await reading.has(10);
      reading.unsubscribe();

      expect(reading.ids()).toEqual(upTo(10));
    });
  });

  it("ends the source when it may not try again", async () => {
    const reading = collect(bed.source({ maxRetries: 0 })(undefined, new Subject()));
    await bed.reading();
    await bed.query(`SELECT pg_terminate_backend(${await bed.activePid()})`);

    await expect.poll(() => reading.failures).toMatchObject([{ _tag: "ConnectionLost" }]);
  });
});
