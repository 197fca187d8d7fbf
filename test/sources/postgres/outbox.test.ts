import { lastValueFrom, map, type OperatorFunction, of, pipe, scan, takeWhile } from "rxjs";
import { describe, expect, it } from "vitest";
import { type ChangeEvent, type Lsn, redisSink, replicate } from "../../../src/index.ts";
import { type OutboxOptions, outbox, type PostgresOptions } from "../../../src/sources/postgres/index.ts";
import { emptyRedis } from "../../kit/servers/emptyRedis.ts";
import { postgresBed } from "./postgresBed.ts";

const bed = postgresBed();
const redis = emptyRedis();

const tables = { tables: ["public.outbox"] };
const create =
  "CREATE TABLE outbox (id uuid PRIMARY KEY, aggregate_type text, aggregate_id int, type text, payload jsonb)";

/** A UUID that ends in a number. */
const uuid = (n: number) => `00000000-0000-0000-0000-${`${n}`.padStart(12, "0")}`;
const row = (n: number, payload: string, aggregate = "order") =>
  `INSERT INTO outbox VALUES ('${uuid(n)}', '${aggregate}', ${n}, 'Placed', '${payload}')`;

/** Publishes until the sink has a number of events, the left out ones included. */
async function publish(
  count: number,
  options: Partial<PostgresOptions> = tables,
  columns: OutboxOptions = {},
  deadLetters?: { readonly stream: string },
): Promise<void> {
  const { uri } = redis;
  const fields = { id: "$" + "{id}", type: "$" + "{after.type}" };
  const sink = redisSink<object>({
    id: "out",
    uri,
    stream: "events.$" + "{after.aggregate_type}",
    fields,
    deadLetters,
  });
  await replicate({ source: bed.source(options), through: outbox(columns), sink })
    .pipe(
      scan((events, checkpoint) => events + checkpoint.events, 0),
      takeWhile((events) => events < count),
    )
    .forEach(() => {});
}

async function entries(stream: string): Promise<string[][]> {
  return (await redis.client.xrange(stream, "-", "+")).map(([, fields]) => fields);
}

describe("outbox", () => {
  it("publishes the payload of each inserted row, by its columns, also of rows that are deleted at once", async () => {
    await bed.query(create);
    await bed.openSlot(tables);
    await bed.query(
      `BEGIN; ${row(1, '{"total": 12}')}; ${row(2, "[1, null]", "user")}; DELETE FROM outbox; COMMIT`,
    );
    await bed.query(row(3, "null"));
    await bed.query("UPDATE outbox SET type = 'Changed'; DELETE FROM outbox; TRUNCATE outbox");

    await publish(8);

    expect(await entries("events.order")).toEqual([
      ["event", '{"total":12}', "id", uuid(1), "type", "Placed"],
      ["event", "null", "id", uuid(3), "type", "Placed"],
    ]);
    expect(await entries("events.user")).toEqual([["event", "[1,null]", "id", uuid(2), "type", "Placed"]]);
  });

  it("publishes each row once over any number of starts, and lets the log go past what is left out", async () => {
    await bed.query(create);
    await bed.openSlot(tables);
    for (let n = 1; n <= 5; n += 1) {
      await bed.query(`BEGIN; ${row(n, `{"n": ${n}}`)}; DELETE FROM outbox; COMMIT`);
      await publish(2);
    }
    await bed.query(row(6, "{}"));
    await publish(1);
    const before = await bed.confirmedLsn();
    await bed.query("UPDATE outbox SET type = 'Changed'");
    await publish(1);
    await bed.idle();

    expect((await entries("events.order")).map(([, payload]) => payload)).toEqual([
      ...[1, 2, 3, 4, 5].map((n) => `{"n":${n}}`),
      "{}",
    ]);
    expect(await bed.confirmedLsn()).not.toBe(before);
  });

  it("takes messages that hold a row, without any table, and makes an id for one that has none", async () => {
    const messages = { messages: ["rxadd"], tables: [] };
    await bed.openSlot(messages);
    const emit = (row: string) =>
      `SELECT pg_logical_emit_message(true, 'rxadd', jsonb_build_object(${row})::text)`;
    await bed.query(
      emit("'id', 'm-1', 'aggregate_type', 'order', 'type', 'Placed', 'payload', '{\"n\": 1}'::jsonb"),
    );
    await bed.query(emit("'aggregate_type', 'order', 'type', 'Sent', 'payload', 'tea'::text"));

    await publish(2, messages);

    const [first, second] = await entries("events.order");
    expect(first).toEqual(["event", '{"n":1}', "id", "m-1", "type", "Placed"]);
    expect(second?.[1]).toBe('"tea"');
    expect(second?.[3]).toMatch(/^postgres\/[0-9A-F]+\/[0-9A-F]+:1$/);
  });

  it("has columns of other names, and refuses a row that lacks one, by the column's name", async () => {
    await bed.query("CREATE TABLE outbox (no bigint PRIMARY KEY, aggregate_type text, type text, body json)");
    await bed.openSlot(tables);
    await bed.query("INSERT INTO outbox VALUES (7, 'order', 'Placed', '{\"b\":  1}')");

    await expect(publish(1)).rejects.toMatchObject({
      _tag: "EventNotEncodable",
      message: expect.stringContaining("outbox: found no column id, expected it in each row"),
    });
    await expect(publish(1, tables, { id: "no" })).rejects.toMatchObject({
      message: expect.stringContaining("event 7: encode failed: outbox: found no column payload"),
    });
    await publish(1, tables, { id: "no" }, { stream: "dead" });
    expect(await entries("dead")).toHaveLength(1);
    await redis.client.flushall();

    await publish(1, tables, { id: "no", payload: "body" });
    expect(await entries("events.order")).toEqual([["event", '{"b":1}', "id", "7", "type", "Placed"]]);
  });

  it("refuses what it does not know, at once", () => {
    expect(() => outbox({ payload: "" })).toThrow('outbox: payload: found "", expected a text');
    // @ts-expect-error: no such option
    expect(() => outbox({ table: "public.outbox" })).toThrow("table: no such option");
  });
});

describe("an event of an outbox", () => {
  interface Placed {
    readonly id: string;
    readonly aggregate_id: number;
    readonly payload: { readonly card: string };
  }
  const change: ChangeEvent<Placed, Lsn> = {
    ...{ id: "db/0/1:1", op: "c", ts_ms: 1, source: { table: "outbox" }, before: null },
    after: { id: "a", aggregate_id: 7, payload: { card: "4000" } },
    position: "0/1:1" as Lsn,
  };
  const through = <T>(how: OperatorFunction<ChangeEvent<Placed, Lsn>, T>) =>
    lastValueFrom(of(change).pipe(how));

  it("has its row, with the types of it, its key and its payload", async () => {
    const event = await through(outbox());

    expect(event.after.payload.card).toBe("4000");
    expect(event).toMatchObject({ id: "a", key: "7", payload: { card: "4000" }, position: "0/1:1" });
  });

  it("is written as the payload of its copy, so that a payload can be changed", async () => {
    const event = await through(
      pipe(
        outbox(),
        map((one) => ({ ...one, payload: { card: "***" } })),
      ),
    );

    expect(JSON.stringify(event)).toBe('{"card":"***"}');
  });
});
