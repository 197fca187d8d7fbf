import { describe, expect, it } from "vitest";
import { type Lsn, ordLsn } from "../../../src/index.ts";
import type { PostgresOptions } from "../../../src/sources/postgres/index.ts";
import { type Change, postgresBed } from "./postgresBed.ts";

const bed = postgresBed();
const messages = { messages: ["rxadd"] };

const emit = (content: string, prefix = "rxadd") =>
  `SELECT pg_logical_emit_message(true, '${prefix}', '${content}')`;

function inShort({ op, after, source }: Change): unknown[] {
  return [op, source.table ?? source.prefix, after];
}

async function readShort(count: number, options: Partial<PostgresOptions> = messages) {
  return (await bed.read(count, undefined, options)).map(inShort);
}

describe("messages of pg_logical_emit_message", () => {
  it("are events of their transaction, in their place among its row changes", async () => {
    await bed.openSlot(messages);
    await bed.query(
      `BEGIN; ${emit('{"n": 1}')}; INSERT INTO orders VALUES (1); ${emit('{"n": 2}')}; UPDATE orders SET amount = 2; ${emit('{"n": 3}')}; COMMIT`,
    );
    await bed.query(`BEGIN; ${emit('{"n": 4}')}; INSERT INTO orders VALUES (2); COMMIT`);
    await bed.query(emit('{"n": 5}'));

    const events = await bed.read(8, undefined, messages);

    expect(events.map(({ op, after }) => [op, after?.n ?? after?.id])).toEqual([
      ["m", 1],
      ["c", 1],
      ["m", 2],
      ["u", 1],
      ["m", 3],
      ["m", 4],
      ["c", 2],
      ["m", 5],
    ]);
    expect(events.map(({ transaction }) => [transaction?.total_order, transaction?.last])).toEqual([
      [1, false],
      [2, false],
      [3, false],
      [4, false],
      [5, true],
      [1, false],
      [2, true],
      [1, true],
    ]);
    expect(events[0]).toMatchObject({
      source: { connector: "postgresql", db: "postgres", prefix: "rxadd", lsn: events[1]?.source.lsn },
      before: null,
      ts_ms: events[1]?.ts_ms,
    });
    expect(events[0]?.source).not.toHaveProperty("table");
  });

  it("have increasing positions, the same at each replay, from each of which it goes on strictly", async () => {
    await bed.openSlot(messages);
    for (let n = 1; n <= 3; n += 1)
      await bed.query(
        `BEGIN; INSERT INTO orders VALUES (${n}); ${emit(`{"n": ${n}}`)}; INSERT INTO orders VALUES (${-n}); COMMIT`,
      );
    const events = await bed.read(9, undefined, messages);

    const positions = events.map(({ position }) => position as Lsn);
    expect(positions).toEqual([...positions].sort(ordLsn.compare));
    expect(new Set(positions).size).toBe(9);
    for (let done = 0; done < 9; done += 1)
      expect(await bed.read(9 - done, positions[done - 1], messages)).toEqual(events.slice(done));
  });

  it("have the id that stands in their content, as text or as a number, else that of their position", async () => {
    await bed.openSlot(messages);
    await bed.query(`BEGIN; ${emit('{"id": "a-1"}')}; ${emit('{"id": 7}')}; ${emit('{"id": null}')}; COMMIT`);

    const events = await bed.read(3, undefined, messages);

    expect(events.map(({ id }) => id)).toEqual(["a-1", "7", `postgres/${events[2]?.position}`]);
  });

  it("hold a row where their content is an object in JSON, else the content as it is", async () => {
    await bed.openSlot(messages);
    await bed.query(
      `BEGIN; ${emit('{"a": {"b": [1, null]}, "huge": 1e400}')}; ${emit("[1]")}; ${emit("null")}; ${emit("{torn")}; ${emit("")}; ${emit("žluť")}; COMMIT`,
    );
    await bed.query("SELECT pg_logical_emit_message(true, 'rxadd', '\\xff00'::bytea)");

    expect((await readShort(7)).map(([, , after]: unknown[]) => after)).toEqual([
      { a: { b: [1, null] }, huge: "1e400" },
      { content: "[1]" },
      { content: "null" },
      { content: "{torn" },
      { content: "" },
      { content: "žluť" },
      { content: "\\xff00" },
    ]);
  });

  it("are none where the transaction was rolled back, nor where they stand outside of one, nor of another prefix", async () => {
    await bed.openSlot(messages);
    await bed.query(`BEGIN; ${emit('{"n": 1}')}; INSERT INTO orders VALUES (1); ROLLBACK`);
    await bed.query(
      `BEGIN; ${emit('{"n": 2}')}; SAVEPOINT a; ${emit('{"n": 3}')}; ROLLBACK TO a; ${emit('{"n": 4}')}; COMMIT`,
    );
    await bed.query("SELECT pg_logical_emit_message(false, 'rxadd', '{\"n\": 5}')");
    await bed.query(`${emit('{"n": 6}', "rxadd.snapshot")}; ${emit('{"n": 7}', "rxaddition")}`);
    await bed.query(`BEGIN; SELECT pg_logical_emit_message(false, 'rxadd', '{"n": 8}'); ROLLBACK`);
    await bed.query("INSERT INTO orders VALUES (9)");

    expect(await readShort(3)).toEqual([
      ["m", "rxadd", { n: 2 }],
      ["m", "rxadd", { n: 4 }],
      ["c", "orders", { id: 9, item: null, amount: null }],
    ]);
  });

  it("are left out where nobody asks for them, and the numbers of the changes count without them", async () => {
    await bed.openSlot();
    await bed.query(`BEGIN; ${emit('{"n": 1}')}; INSERT INTO orders VALUES (1); ${emit('{"n": 2}')}; COMMIT`);

    const [only] = await bed.read(1);

    expect(only).toMatchObject({ op: "c", transaction: { total_order: 1, last: true } });
  });

  it("need no table: with an empty list the publication has none", async () => {
    const alone = { messages: ["rxadd", "shop"], tables: [] };
    await bed.openSlot(alone);
    await bed.query("INSERT INTO orders VALUES (1)");
    await bed.query(
      `BEGIN; ${emit('{"n": 1}')}; INSERT INTO orders VALUES (2); ${emit("x", "shop")}; COMMIT`,
    );

    expect(await readShort(2, alone)).toEqual([
      ["m", "rxadd", { n: 1 }],
      ["m", "shop", { content: "x" }],
    ]);
    expect(await bed.query("SELECT tablename FROM pg_publication_tables")).toEqual([]);
  });

  it("are what is left to read where there is no table", async () => {
    await expect(bed.read(1, undefined, { tables: [] })).rejects.toMatchObject({
      _tag: "NotConfigured",
      message: expect.stringContaining("found an empty list of tables and no messages"),
    });
  });

  it("are asked for by a list", async () => {
    // @ts-expect-error: a text, which is a list of letters
    await expect(bed.read(1, undefined, { messages: "shop" })).rejects.toMatchObject({
      _tag: "NotConfigured",
      message: expect.stringContaining('messages: found "shop", expected a list of prefixes'),
    });
  });

  it("of our own are not given to anybody", async () => {
    await expect(bed.read(1, undefined, { messages: ["shop", "rxadd.snapshot"] })).rejects.toMatchObject({
      _tag: "NotConfigured",
      message: expect.stringContaining('messages: found "rxadd.snapshot", expected another prefix'),
    });
  });
});
