import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import type { ChangeEvent, Lsn, Row } from "../../../../src/index.ts";
import { valueReader } from "../../../../src/sources/postgres/columnValues.ts";
import type { SentRow, TableChange } from "../../../../src/sources/postgres/snapshot/chunk.ts";
import { Snapshot } from "../../../../src/sources/postgres/snapshot/snapshot.ts";
import type { Table } from "../../../../src/sources/postgres/snapshot/table.ts";
import { readsOf, type TableRead } from "../../../../src/sources/postgres/snapshot/tableRead.ts";
import { type RowsRead, watermark } from "../../../../src/sources/postgres/snapshot/tableReader.ts";
import { Visibility } from "../../../../src/sources/postgres/snapshot/visibility.ts";
import type { SnapshotProgress } from "../../../../src/telemetry/snapshotProgress.ts";
import { untilNothingWrong } from "../../../kit/time/untilNothingWrong.ts";

const orders = { schema: "public", name: "orders" };
const all: TableRead = { ...orders, after: undefined, isAnew: false, scope: "onward" as const };
const columns = ["id", "amount", "note"].map((name) => ({
  name,
  isKey: name === "id",
  read: valueReader(name === "note" ? 25 : 23),
}));
const table: Table = {
  ...{
    ...orders,
    columns,
    key: [0],
    keyTypes: ["int"],
    by: "k",
    estimated: 3,
    from: "orders",
    filter: undefined,
  },
};

/** A row as the server sends it. */
function sent(values: readonly unknown[]): SentRow {
  const parts = [Buffer.from([0, values.length])];
  for (const value of values) {
    const text = Buffer.from(`${value}`);
    const length = Buffer.alloc(4);
    length.writeInt32BE(text.length);
    parts.push(length, text);
  }
  const buffer = Buffer.concat(parts);
  return { buffer, start: 0, end: buffer.length };
}

const snapshots: Snapshot[] = [];
afterEach(() => {
  for (const snapshot of snapshots.splice(0)) snapshot.close();
});

/** A snapshot over a table that lives here, whose every step is taken by the test. */
function bench(reads: readonly TableRead[] = [all]) {
  const events: ChangeEvent<Row, Lsn>[] = [];
  const failures: unknown[] = [];
  const progress: SnapshotProgress[] = [];
  const asked: TableRead[] = [];
  let answers: ((found: RowsRead | undefined) => void)[] = [];
  const words: string[] = [];
  let seen = "10:10:";
  let looks = 0;
  let isHeld = false;
  let isPaused = false;
  const held: (() => unknown)[] = [];
  let commits = 0;
  let pauseAt = 0;
  let fails: (error: unknown) => void = () => {};
  const snapshot = new Snapshot({
    ...{ db: "db", reads, tables: [orders] },
    emit: (event) => {
      events.push(event);
      if (events.length === pauseAt) isPaused = true;
    },
    failed: (error) => failures.push(error),
    isPaused: () => isPaused,
    hold: (isToBe) => {
      isHeld = isToBe;
      if (!isHeld) held.splice(0).forEach((take) => void take());
    },
    progress: { next: (each) => progress.push(each) },
    readers: [
      {
        look: async () => {
          looks += 1;
          return { seen: new Visibility(seen), open: new Set() };
        },
        read: (read) => {
          asked.push(read);
          return new Promise((resolve) => {
            answers.push(resolve);
          });
        },
        mark: (word) => {
          words.push(word);
          return new Promise((_, reject) => {
            fails = reject;
          });
        },
        readWhole: async () => {},
        rest: () => fails(new Error("Connection terminated")),
      },
    ],
  });
  snapshots.push(snapshot);
  const until = (isSo: () => boolean, what: string) =>
    untilNothingWrong(async () => (isSo() ? undefined : `no ${what}`));

  return {
    ...{ events, failures, progress, asked, snapshot },
    isHeld: () => isHeld,
    /** What the log has behind where it is held: it comes as soon as it is let go. */
    holding: (take: () => unknown) => held.push(take),
    looks: () => looks,
    sees: (text: string) => {
      seen = text;
    },
    /** Rows are asked for. */
    asking: () => until(() => answers.length === 1, "question"),
    /** They are these. */
    answer: (rows: readonly (readonly unknown[])[], isLast = true) => {
      const found = { table, rows: rows.map(sent), bytes: 10, seen: new Visibility(seen), isLast };
      for (const answer of answers) answer(found);
      answers = [];
    },
    /** A change that is told, and the event as its reader has it. */
    change: (
      op: "c" | "u" | "d",
      before: Row | null,
      after: Row | null,
      more: Partial<TableChange> = {},
    ): ChangeEvent<Row, Lsn> => {
      commits += 1;
      const change = { table, xid: 100, op, before, after, unchanged: [], bytes: 100, ...more };
      const position = `0/${commits}:1${snapshot.changed(change)}` as Lsn;
      const source = { connector: "postgresql", db: "db", schema: "public", table: "orders" };
      const event = { id: position, op, ts_ms: 0, source, before, after, position };
      events.push(event);
      return event;
    },
    marked: (pieces = 1) => until(() => words.length === pieces, "watermark"),
    /** Pauses at so many events. */
    pauseAt: (count: number) => {
      pauseAt = count;
    },
    goOn: () => {
      isPaused = false;
      snapshot.resume();
    },
    /** The log comes to the watermark. */
    reach: () => {
      commits += 1;
      for (const word of words.splice(0)) {
        const message = { prefix: watermark, content: Buffer.from(word), isTransactional: true };
        snapshot.message(message, { lsn: `0/${commits}` as Lsn, xid: 200, ts_ms: 0 });
      }
    },
    /** What is there, by all that was told. */
    rebuilt: () => {
      const rows = new Map<unknown, Row>();
      for (const { op, before, after } of events) {
        if (op === "t") rows.clear();
        if (before !== null) rows.delete(before.id);
        if (after !== null) rows.set(after.id, { ...rows.get(after.id), ...after });
      }
      return [...rows.values()].map(({ id, amount, note }) => `${id} ${amount} ${note}`).sort();
    },
  };
}

describe("a piece of a table", () => {
  it("that is read anew loses no change that was told before its truncate", async () => {
    const on = bench([{ ...all, isAnew: true }]);
    on.snapshot.resume();
    let rows: (readonly unknown[])[] = [
      [1, 1, "a"],
      [3, 3, "c"],
    ];
    let isTold = false;
    await untilNothingWrong(async () => {
      await on.asking();
      on.answer(rows);
      if (!isTold) {
        on.change("u", null, { id: 1, amount: 77, note: "a" });
        on.change("c", null, { id: 2, amount: 2, note: "b" });
        isTold = true;
        rows = [
          [1, 77, "a"],
          [2, 2, "b"],
          [3, 3, "c"],
        ];
      }
      await on.marked();
      on.sees("300:300:");
      on.reach();
      return on.snapshot.text === "" ? undefined : "not read";
    });

    expect(on.events.filter(({ op }) => op === "t")).toHaveLength(1);
    expect(on.rebuilt()).toEqual(["1 77 a", "2 2 b", "3 3 c"]);
  });

  it("does not see what a user makes of an event", async () => {
    const on = bench();
    on.snapshot.resume();
    await on.asking();
    const event = on.change("u", null, { id: 1, amount: 77 }, { unchanged: ["note"] });
    Object.assign(event.after ?? {}, { id: "mine", amount: "secret" });
    on.answer([[1, 1, "a"]]);
    await on.marked();
    on.reach();

    expect(on.events.at(-1)).toMatchObject({ op: "r", after: { id: 1, amount: 77, note: "a" } });
  });

  it.each<[string, Partial<TableChange>, Row | null, Row | null]>([
    [
      "its key has another name",
      {
        table: { ...table, columns: columns.map((each, at) => (at === 0 ? { ...each, name: "pk" } : each)) },
      },
      null,
      { pk: 1, amount: 77, note: "a" },
    ],
    [
      "its key has another type",
      {
        table: {
          ...table,
          columns: columns.map((each, at) => (at === 0 ? { ...each, read: valueReader(25) } : each)),
        },
      },
      null,
      { id: "1", amount: 77, note: "a" },
    ],
    ["rows are told apart by other columns", {}, { amount: 1 }, null],
    [
      "a column has another name, and not all is told",
      { unchanged: ["note"] },
      null,
      { id: 1, quantity: 77 },
    ],
  ])("is read once more where %s", async (_, more, before, after) => {
    const on = bench();
    on.snapshot.resume();
    await on.asking();
    on.answer([[1, 1, "a"]]);
    await on.marked();
    on.change(after === null ? "d" : "u", before, after, more);
    on.reach();
    expect(on.events.filter(({ op }) => op === "r")).toEqual([]);

    on.sees("300:300:");
    await on.asking();
    expect(on.asked).toHaveLength(2);
    on.answer([]);
    await on.marked();
    on.reach();
    expect(on.snapshot.text).toBe("");
  });

  it("is read while the one before it waits, and both are read once more where the first one is", async () => {
    const on = bench();
    on.snapshot.resume();
    await on.asking();
    on.answer([[1, 1, "a"]], false);
    await on.asking();
    expect(on.asked.at(-1)).toMatchObject({ after: ["1"], by: "k" });
    on.answer([[2, 2, "b"]]);
    await on.marked(2);
    on.change("d", { amount: 1 }, null);
    on.reach();
    expect(on.rebuilt()).toEqual([]);

    on.sees("300:300:");
    await on.asking();
    expect(on.asked.at(-1)).toMatchObject({ after: undefined });
    on.answer([[2, 2, "b"]]);
    await on.marked();
    on.reach();
    expect(on.rebuilt()).toEqual(["2 2 b"]);
    expect(on.snapshot.text).toBe("");
  });

  it("that is being read behind one that is read once more is not told, and what it had to see is looked for again", async () => {
    const on = bench();
    on.snapshot.resume();
    await on.asking();
    on.change("c", null, { id: 9, amount: 9, note: "i" }, { xid: 50 });
    on.answer([[1, 1, "a"]], false);
    await on.asking();
    on.change("d", { amount: 1 }, null);
    on.sees("300:300:");
    on.answer([[2, 2, "b"]]);
    on.reach();

    on.sees("10:200:50");
    await on.asking();
    const before = on.looks();
    on.answer([]);
    await untilNothingWrong(async () => (on.looks() > before + 1 ? undefined : "not looked for"));
    expect(on.asked.map(({ after }) => after)).toEqual([undefined, ["1"], undefined]);
    expect(on.events.filter(({ op }) => op === "r")).toEqual([]);

    on.sees("300:300:");
    await on.asking();
    on.answer([[2, 2, "b"]]);
    await on.marked();
    on.reach();
    expect(on.rebuilt()).toEqual(["2 2 b", "9 9 i"]);
  });

  it("stops where it is paused, while the log waits, and goes on there", async () => {
    const on = bench();
    on.snapshot.resume();
    await on.asking();
    on.answer([
      [1, 1, "a"],
      [2, 2, "b"],
      [3, 3, "c"],
    ]);
    await on.marked();
    on.pauseAt(2);
    on.reach();
    expect(on.events.map(({ after }) => after?.id)).toEqual([1, 2]);
    expect(on.isHeld()).toBe(true);
    on.holding(() => on.change("u", null, { id: 3, amount: 77, note: "c" }));

    on.goOn();
    expect(on.isHeld()).toBe(false);
    expect(on.events.map(({ after }) => after?.id)).toEqual([1, 2, 3, 3]);
    expect(on.rebuilt()).toEqual(["1 1 a", "2 2 b", "3 77 c"]);
    expect(on.snapshot.text).toBe("");
  });

  it("holds the log when much has changed of its table, and never for other tables", async () => {
    const on = bench();
    on.snapshot.resume();
    await on.asking();
    const other = { table: { ...table, name: "others" }, bytes: 1e9 };
    for (let count = 0; count < 20_000; count += 1) on.change("c", null, { id: 1 }, other);
    expect(on.isHeld()).toBe(false);

    on.change("c", null, { id: 2, amount: 1, note: "" }, { bytes: 20_000_000 });
    expect(on.isHeld()).toBe(true);
    on.answer([]);
    await on.marked();
    expect(on.isHeld()).toBe(false);
  });

  it("lets the log go, although more of its table comes at once", async () => {
    const on = bench();
    on.snapshot.resume();
    await on.asking();
    for (let count = 0; count < 10_000; count += 1) on.change("c", null, { id: 2, amount: 1, note: "" });
    expect(on.isHeld()).toBe(true);
    on.holding(() => on.change("u", null, { id: 1, amount: 77, note: "a" }));

    on.answer([[1, 1, "a"]]);
    await on.marked();

    expect(on.isHeld()).toBe(false);
    on.reach();
    expect(on.rebuilt()).toEqual(["1 77 a", "2 1 "]);
  });

  it("is not read again and again while a transaction that was told is not seen", async () => {
    const on = bench();
    on.snapshot.resume();
    await on.asking();
    on.change("u", null, { id: 1, amount: 77, note: "a" });
    on.answer([[0, 0, "z"]], false);
    await on.marked();
    on.reach();
    await on.asking();
    expect(on.asked).toHaveLength(2);
    on.answer([[1, 1, "a"]]);
    const before = on.looks();
    await untilNothingWrong(async () => (on.looks() > before + 3 ? undefined : "not asked"));
    expect(on.asked).toHaveLength(2);

    on.sees("300:300:");
    await on.asking();
    on.answer([[1, 77, "a"]]);
    await on.marked();
    on.reach();
    expect(on.rebuilt()).toEqual(["0 0 z", "1 77 a"]);
  });

  it("is no failure where its watermark comes before the answer, and the connection is given back", async () => {
    const on = bench();
    on.snapshot.resume();
    await on.asking();
    on.answer([[1, 1, "a"]]);
    await on.marked();
    on.reach();
    await delay(10);

    expect(on.snapshot.text).toBe("");
    expect(on.failures).toEqual([]);
  });

  it("is told no further once nobody listens", async () => {
    const on = bench();
    on.snapshot.resume();
    await on.asking();
    on.answer([[1, 1, "a"]]);
    await on.marked();
    on.snapshot.close();
    on.reach();

    expect([on.events, on.progress]).toEqual([[], []]);
  });
});

describe("requests for rows", () => {
  it("are met once more where a row has moved without its large columns, and only if their reading has begun", async () => {
    const on = bench([{ ...all, name: "others", scope: [] }]);
    on.snapshot.resume();
    const open: TableRead = { ...all, scope: [["amount", ">", "1"]] };
    on.snapshot.ask(open);
    const move = () => on.change("u", { id: 1 }, { id: 5, amount: 2 }, { unchanged: ["note"] });
    move();
    expect(readsOf(`0/1${on.snapshot.text}`)).toHaveLength(2);

    await on.asking();
    on.sees("300:300:");
    on.answer([]);
    await on.marked();
    on.reach();
    await on.asking();
    move();
    move();
    expect(readsOf(`0/1${on.snapshot.text}`)).toEqual([open, open]);
  });

  it("leave positions short: the same one waits once, and of too many one is refused", async () => {
    const on = bench([]);
    for (let count = 0; count < 3; count += 1) on.snapshot.ask({ ...all, scope: [] });
    // The first one is being read.
    expect(readsOf(`0/1${on.snapshot.text}`)).toHaveLength(2);

    for (let count = 0; count < 5_000; count += 1)
      on.snapshot.ask({ ...all, scope: [["id", "=", `${count}`]] });

    expect(on.snapshot.text.length).toBeLessThan(20_000);
    const [refused] = on.progress;
    expect(refused).toMatchObject({
      ...{ table: "public.orders", state: "refused" },
      error: { _tag: "Refused", message: expect.stringMatching(/^backfill: found \d+ requests/) },
    });
  });
});
