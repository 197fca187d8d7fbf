import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import type { Row } from "../../../../src/index.ts";
import { valueReader } from "../../../../src/sources/postgres/columnValues.ts";
import { postgresError } from "../../../../src/sources/postgres/postgresError.ts";
import type { TableChange } from "../../../../src/sources/postgres/snapshot/chunk.ts";
import { readsOf, type TableRead } from "../../../../src/sources/postgres/snapshot/tableRead.ts";
import { untilNothingWrong } from "../../../kit/time/untilNothingWrong.ts";
import { all, bench, columns, table } from "./snapshotBench.ts";

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

  it("is told although whoever is told of it throws, and the log goes on", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const on = bench([all], {
      heard: () => {
        throw new Error("mine");
      },
    });
    on.snapshot.resume();
    await on.asking();
    on.answer([[1, 1, "a"]], false);
    await on.asking();
    on.answer([[2, 2, "b"]]);
    await on.marked(2);
    on.pauseAt(1);
    on.reach();
    on.holding(() => on.change("u", null, { id: 1, amount: 77, note: "a" }));
    on.goOn();

    expect(on.isHeld()).toBe(false);
    expect(on.rebuilt()).toEqual(["1 77 a"]);
    expect(on.snapshot.text).toBe("@public.orders(k)/1");
    expect(warned.mock.calls).toEqual([[expect.stringMatching(/progress threw: mine/), "RxaddWarning"]]);
    warned.mockRestore();
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
    on.answer([], true, "others");
    await on.marked();
    on.reach();
    await on.asking();
    move();
    move();
    expect(readsOf(`0/1${on.snapshot.text}`)).toEqual([open, open]);
  });

  it.each([
    ["its table was gone", undefined],
    ["it was refused", postgresError("PermissionDenied", "no")],
  ])(
    "are met once more where a row has moved so, although the table was read before: %s",
    async (_, error) => {
      const on = bench([{ ...all, scope: [] }]);
      on.sees("300:300:");
      on.snapshot.resume();
      await on.asking();
      on.answer([[1, 1, "a"]], false);
      await on.marked();
      on.reach();
      await on.asking();
      on.gone(error);
      await untilNothingWrong(async () => (on.snapshot.text === "" ? undefined : "not ended"));

      on.snapshot.ask({ ...all, scope: [] });
      await on.asking();
      on.answer([[5, 1, "a"]], false);
      await on.marked();
      on.reach();
      on.change("u", { id: 9 }, { id: 3, amount: 2 }, { unchanged: ["note"], xid: 400 });
      expect(readsOf(`0/1${on.snapshot.text}`)).toHaveLength(2);
    },
  );

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
