import { Socket } from "node:net";
import { inspect } from "node:util";
import { Client } from "pg";
import { firstValueFrom, NEVER, Subject } from "rxjs";
import { describe, expect, it } from "vitest";
import { type OpenedSlot, postgresChanges } from "../../../src/sources/postgres/index.ts";
import { makeCertificates } from "../../kit/servers/certificates.ts";
import { postgresVersion, startPostgres } from "../../kit/servers/postgresServer.ts";
import { collect, postgresBed, upTo } from "./postgresBed.ts";

const bed = postgresBed();

/** One transaction each. */
async function insert(count: number): Promise<void> {
  for (const id of upTo(count)) await bed.query(`INSERT INTO orders VALUES (${id}, 'item', 1)`);
}

/** A connection, and how often it has told the server how far its log is read. */
function countingSocket() {
  const socket = new Socket();
  const write = socket._write.bind(socket);
  let statuses = 0;
  socket._write = (chunk, ...rest) => {
    if (chunk[0] === 0x64 && chunk[5] === 0x72) statuses += 1;
    write(chunk, ...rest);
  };
  return { socket, statuses: () => statuses };
}

/** Every read ends after a few bytes. */
class SlicingSocket extends Socket {
  override push(chunk: unknown): boolean {
    if (!Buffer.isBuffer(chunk)) return super.push(chunk);
    let wantsMore = true;
    for (let at = 0; at < chunk.length; at += 7) wantsMore = super.push(chunk.subarray(at, at + 7));
    return wantsMore;
  }
}

/** What lies between makes another message of each insert. */
class GarblingSocket extends Socket {
  override push(chunk: unknown): boolean {
    if (Buffer.isBuffer(chunk)) {
      for (let at = 0; at < chunk.length; at += 1) {
        if (chunk[at] === 0x64 && chunk[at + 5] === 0x77 && chunk[at + 30] === 0x49) chunk[at + 30] = 0x5a;
      }
    }
    return super.push(chunk);
  }
}

describe("the connection that changes are read by", () => {
  it("tells the server of what is acknowledged in one message for many, and of the last", async () => {
    const sockets: ReturnType<typeof countingSocket>[] = [];
    const stream = () => {
      const counting = countingSocket();
      sockets.push(counting);
      return counting.socket;
    };
    const changes = bed.source({ client: { stream } });
    const reading = collect(changes(undefined, NEVER));
    await bed.reading();
    await insert(50);
    await reading.has(50);

    // One is left, so that nothing lets the server forget what goes beyond these.
    for (const index of upTo(48)) changes.acknowledge?.(reading.position(index));

    await expect.poll(bed.confirmedLsn).toBe(reading.position(48).replace(/:.*$/, ""));
    const statuses = sockets.reduce((sum, counting) => sum + counting.statuses(), 0);
    expect(statuses).toBeGreaterThan(0);
    expect(statuses).toBeLessThanOrEqual(3);
    reading.unsubscribe();
  });

  it("tells the server of what was acknowledged before it closes", async () => {
    const changes = bed.source();
    const reading = collect(changes(undefined, NEVER));
    await bed.reading();
    await insert(4);
    await reading.has(4);

    for (const index of upTo(2)) changes.acknowledge?.(reading.position(index));
    reading.unsubscribe();

    await bed.idle();
    expect(await bed.confirmedLsn()).toBe(reading.position(2).replace(/:.*$/, ""));
  });

  it("is read rightly wherever a read ends, from the first byte on", async () => {
    const reading = collect(bed.source({ client: { stream: () => new SlicingSocket() } })(undefined, NEVER));
    await bed.reading();
    await bed.query("INSERT INTO orders SELECT n, repeat('x', n), n FROM generate_series(1, 500) n");
    await reading.has(500);
    reading.unsubscribe();

    expect(reading.events.map(({ after }) => after)).toEqual(
      upTo(500).map((id) => ({ id, item: "x".repeat(id), amount: id })),
    );
  });

  it("ends the source with what is no change, and says nothing of what it holds", async () => {
    const { failures } = collect(
      bed.source({ client: { stream: () => new GarblingSocket() } })(undefined, NEVER),
    );
    await bed.reading();
    await bed.query("INSERT INTO orders VALUES (1, 'hunter2', 1)");

    await expect
      .poll(() => failures)
      .toMatchObject([{ _tag: "Refused", message: expect.stringContaining("kind 90") }]);
    expect(inspect(failures, { depth: 9 })).not.toContain("hunter2");
  });

  it.each(postgresVersion < 17 ? [""] : ["", "&sslnegotiation=direct"])(
    "may be encrypted: %s",
    async (negotiation) => {
      const { ca, server, remove } = await makeCertificates();
      const encrypted = await startPostgres({}, server);
      const db = new Client(encrypted.connectionString);
      try {
        await db.connect();
        await db.query("CREATE TABLE orders (id int PRIMARY KEY, item text)");
        const opened = new Subject<OpenedSlot>();
        const source = postgresChanges({
          connectionString: `${encrypted.connectionString}?sslmode=verify-full&sslrootcert=${ca.certFile}${negotiation}`,
          opened,
        });
        const isOpened = firstValueFrom(opened);
        const reading = collect(source(undefined, NEVER));
        await isOpened;
        await db.query("INSERT INTO orders SELECT n, repeat('x', 50) FROM generate_series(1, 5000) n");
        await reading.has(5000);
        const { rows } = await db.query("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)");
        reading.unsubscribe();

        expect(rows).toEqual([{ ssl: true }]);
        expect(reading.ids()).toEqual(upTo(5000));
      } finally {
        await db.end();
        await encrypted.stop();
        remove();
      }
    },
  );
});
