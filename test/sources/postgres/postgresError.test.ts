import { inspect } from "node:util";
import { DatabaseError } from "pg";
import { lastValueFrom, NEVER } from "rxjs";
import { describe, expect, it } from "vitest";
import { isRetryable, isRxaddError, type RxaddError } from "../../../src/index.ts";
import { type PostgresOptions, postgresChanges } from "../../../src/sources/postgres/index.ts";
import { postgresErrorOf } from "../../../src/sources/postgres/postgresError.ts";
import { startPostgres } from "../../kit/servers/postgresServer.ts";
import { freePort } from "../../kit/servers/redisServer.ts";
import { collect, postgresBed } from "./postgresBed.ts";

const bed = postgresBed();

/** The error that a source ends with, which tries nothing twice. */
function failureOf(options: Partial<PostgresOptions>): Promise<RxaddError> {
  return lastValueFrom(bed.source({ maxRetries: 0, ...options })(undefined, NEVER)).then(
    () => Promise.reject(new Error("it completed")),
    (error) => error,
  );
}

describe("an error of PostgreSQL", () => {
  it("says what is wrong with a password, without saying the password", async () => {
    const connectionString = bed.connectionString().replace("secret", "hunter2");

    const failure = await failureOf({ connectionString });

    expect(isRxaddError(failure)).toBe(true);
    expect(failure).toMatchObject({ _tag: "AuthenticationFailed", blames: "input" });
    expect(failure.message).toContain("check user and password");
    expect(failure.message).not.toContain("hunter2");
  });

  it("says that a password is missing", async () => {
    const connectionString = bed.connectionString().replace(":secret", "");

    expect(await failureOf({ connectionString })).toMatchObject({ _tag: "AuthenticationFailed" });
  });

  it("says which right is missing", async () => {
    await bed.query("CREATE ROLE reader LOGIN PASSWORD 'reader'");
    const connectionString = bed.connectionString().replace("postgres:secret", "reader:reader");

    const atPublication = await failureOf({ connectionString });
    await bed.query(`CREATE PUBLICATION ${bed.publication()} FOR ALL TABLES`);
    const atSlot = await failureOf({ connectionString });

    expect(atPublication).toMatchObject({ _tag: "PermissionDenied" });
    expect(atSlot).toMatchObject({ _tag: "PermissionDenied" });
    expect(atSlot.message).toContain("REPLICATION");
    await bed.query("DROP ROLE reader");
  });

  it("passes where a table was dropped while the server looked at all of them", () => {
    const of = (message: string) =>
      postgresErrorOf(
        Object.assign(new DatabaseError(message, message.length, "error"), { code: "XX000" }),
        "",
      );
    expect(isRetryable(of("could not open relation with OID 72136"))).toBe(true);
    expect(isRetryable(of("cache lookup failed for relation 72136"))).toBe(true);
    expect(isRetryable(of("invalid memory alloc request size"))).toBe(false);
  });

  it("says that another process reads the slot, and takes over when it may wait", async () => {
    const first = collect(bed.source()(undefined, NEVER));
    await bed.reading();

    expect(await failureOf({})).toMatchObject({ _tag: "SlotInUse" });

    const second = collect(bed.source()(undefined, NEVER));
    first.unsubscribe();
    await bed.query("INSERT INTO orders VALUES (1, 'a', 1)");
    await second.has(1);
    second.unsubscribe();
  });

  it.each([
    "postgres://me:hunter2@h:port/shop",
    "postgres://me:hunter2#x@h/shop",
    "postgres://me:hunter2/x@h/shop",
  ])("says that a URI cannot be read, without its password: %s", async (connectionString) => {
    const failure = await failureOf({ connectionString });

    expect(failure).toMatchObject({
      _tag: "NotConfigured",
      message: expect.stringContaining("%2F and %23"),
    });
    expect(inspect(failure, { depth: 9 })).not.toContain("hunter2");
  });

  it("says that nobody listens", async () => {
    const port = await freePort();
    const connectionString = `postgres://me:hunter2@localhost:${port}/shop`;

    const failure = await failureOf({ connectionString });

    expect(failure).toMatchObject({ _tag: "ConnectionLost" });
    expect(failure.message).toContain("ECONNREFUSED");
    expect(failure.message).not.toContain("hunter2");
  });

  it("says that a database, a table or a host does not exist, and does not try again", async () => {
    const options = { maxRetries: Number.POSITIVE_INFINITY };
    const elsewhere = bed.connectionString().replace(/postgres$/, "nowhere");
    const nobody = bed.connectionString().replace("127.0.0.1", "nobody.invalid");

    const failures = [
      await failureOf({ ...options, connectionString: elsewhere }),
      await failureOf({ ...options, tables: ["public.nothing"] }),
    ];
    for (const failure of failures) expect(failure).toMatchObject({ _tag: "Refused" });
    // Without a name server the answer is that none can be asked just now.
    const unknown = await failureOf({ connectionString: nobody });
    expect(["Refused", "ConnectionLost"]).toContain(unknown._tag);
  });

  it("says how to make a publication hold the tables that are asked for", async () => {
    await bed.query("CREATE TABLE items (id int PRIMARY KEY)");
    await bed.openSlot({ tables: ["public.orders"] });

    const failure = await failureOf({ tables: ["public.orders", "public.items"] });

    expect(failure).toMatchObject({ _tag: "NotConfigured" });
    const remedy = /ALTER PUBLICATION .*$/.exec(failure.message)?.[0] ?? "";
    await bed.query(remedy);
    await bed.openSlot({ tables: ["public.items", "public.orders"] });
    await bed.openSlot();
  });

  it.each([
    { slot: "Orders" },
    { slot: 'x" LOGICAL' },
    { publication: "" },
    { publication: "p".repeat(64) },
    { tables: ["orders"] },
  ])("names the option that is not usable: %o", async (options) => {
    const failure = await failureOf(options);

    expect(failure).toMatchObject({ _tag: "NotConfigured" });
    expect(failure.message).toContain(Object.keys(options)[0]);
  });

  it("takes any name for a publication", async () => {
    const publication = `Bob's "orders", 1`;
    const reading = collect(bed.source({ publication })(undefined, NEVER));
    await bed.reading();
    await bed.query("INSERT INTO orders VALUES (1, 'a', 1)");
    await reading.has(1);
    reading.unsubscribe();
    await bed.query(`DROP PUBLICATION "Bob's ""orders"", 1"`);
  });

  it("says which word it expected for the snapshot", async () => {
    expect(await failureOf({ snapshot: "Initial" as "initial" })).toMatchObject({
      _tag: "NotConfigured",
      message: 'snapshot: found "Initial", expected never, onDemand or initial',
    });
  });

  it("says that wal_level has to be logical", async () => {
    const other = await startPostgres({ wal_level: "replica" });
    try {
      const { connectionString } = other;
      const failure = await lastValueFrom(postgresChanges({ connectionString })(undefined, NEVER)).catch(
        (error) => error,
      );

      expect(failure).toMatchObject({ _tag: "NotConfigured" });
      expect(failure.message).toContain("wal_level = logical");
    } finally {
      await other.stop();
    }
  });
});
