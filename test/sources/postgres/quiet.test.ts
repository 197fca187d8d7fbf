import { Client } from "pg";
import { describe, expect, it } from "vitest";
import { redisSink, replicate } from "../../../src/index.ts";
import { fakeRedis } from "../../../src/testing/index.ts";
import { postgresBed } from "./postgresBed.ts";

const bed = postgresBed();

/** Writes in another database of the server, as long as a test takes. */
async function besideBusyDatabase(test: () => Promise<void>): Promise<void> {
  await bed.query("CREATE DATABASE busy");
  const busy = new Client(bed.connectionString().replace(/[^/]*$/, "busy"));
  await busy.connect();
  await busy.query("CREATE TABLE noise (text text)");
  let isDone = false;
  const write = async () => {
    while (!isDone)
      await busy.query("INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 500)");
  };
  const writing = write();
  try {
    await test();
  } finally {
    isDone = true;
    await writing;
    await busy.end();
    await bed.query("DROP DATABASE busy");
  }
}

/** Both what was confirmed, and where the log begins that the server keeps; a checkpoint notes places at which it may begin. */
async function isKeptFrom(lsn: string): Promise<boolean> {
  await bed.query("CHECKPOINT");
  const [slot] = await bed.query(
    `SELECT confirmed_flush_lsn > '${lsn}' AND restart_lsn > '${lsn}' AS is_beyond FROM pg_replication_slots`,
  );
  return slot?.is_beyond;
}

describe("a database in which nothing happens, beside one that is busy", () => {
  it("lets the server forget the log of the other one", async () => {
    // The server asks often how far we are.
    await bed.query("ALTER ROLE postgres SET wal_sender_timeout = '900ms'");
    const sink = redisSink<object>({ id: "quiet", connection: fakeRedis(), stream: "quiet" });
    const replication = replicate({
      source: bed.source({ acceptHole: false, tables: ["public.orders"] }),
      sink,
    }).subscribe();
    try {
      await bed.reading();
      await besideBusyDatabase(async () => {
        for (let round = 0; round < 3; round += 1) {
          const [now] = await bed.query("SELECT pg_current_wal_insert_lsn()::text AS lsn");
          await expect.poll(() => isKeptFrom(now?.lsn)).toBe(true);
        }
      });
    } finally {
      replication.unsubscribe();
      await bed.query("ALTER ROLE postgres RESET ALL");
    }
  });
});
