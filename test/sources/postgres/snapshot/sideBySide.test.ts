import { describe, expect, it } from "vitest";
import type { TableRead } from "../../../../src/sources/postgres/snapshot/tableRead.ts";
import { all, bench } from "./snapshotBench.ts";

const tables = ["a", "b", "c"];
const [a, b, c] = tables.map((name): TableRead => ({ ...all, name })) as [TableRead, TableRead, TableRead];
const rows = [[1, 1, "x"]];
/** What was told: of which table, and what is left behind it. */
const toldBy = ({ events }: ReturnType<typeof bench>) =>
  events.map(({ op, source, position }) => `${op} ${source.table} ${position?.slice(position.indexOf("@"))}`);

describe("tables side by side", () => {
  it("are read as many at a time as there are connections, and the next one when one is done", async () => {
    const on = bench([a], { tables, workers: 2 });
    on.snapshot.resume();
    await on.asking(2);
    expect(on.snapshot.text).toBe("@~public.a@public.b");

    on.answer(rows, true, "b");
    await on.marked();
    on.reach();
    await on.asking(2);
    expect(on.asked.map(({ name }) => name)).toEqual(["a", "b", "c"]);
    expect(on.snapshot.text).toBe("@~public.a@public.c");
    on.answer(rows, true, "c");
    await on.marked();
    on.reach();
    // The one that is left says that none follows it.
    expect(on.snapshot.text).toBe("@~public.a");

    on.answer(rows, true, "a");
    await on.marked();
    on.reach();
    expect(toldBy(on)).toEqual([
      "r b @~public.a@public.b(k)/1",
      "r c @~public.a@public.c(k)/1",
      "r a @~public.a(k)/1",
    ]);
    expect(on.snapshot.text).toBe("");
  });

  it("go on each at its place", async () => {
    const at = (table: TableRead, key: string): TableRead => ({ ...table, after: [key], by: "k" });
    const on = bench([{ ...at(a, "5"), scope: "alone" }, at(b, "7")], { tables, workers: 3 });
    on.snapshot.resume();
    await on.asking(3);

    expect(on.asked.map(({ name, after }) => `${name} ${after}`)).toEqual(["a 5", "b 7", "c undefined"]);
    expect(on.snapshot.text).toBe("@~public.a(k)/5@~public.b(k)/7@public.c");
  });

  it("go on one after the other where there are fewer connections than before", async () => {
    const on = bench([{ ...a, scope: "alone" }, b], { tables });
    on.snapshot.resume();
    for (const name of tables) {
      await on.asking();
      on.answer(rows, true, name);
      await on.marked();
      on.reach();
    }
    expect(on.asked.map(({ name }) => name)).toEqual(tables);
    expect(on.snapshot.text).toBe("");
  });

  it("are read once more where a row moves without its large columns, also while there is no connection for them", async () => {
    const at = (table: TableRead, key: string): TableRead => ({ ...table, after: [key], by: "k" });
    const on = bench([{ ...at(a, "5"), scope: "alone" }, { ...at(b, "7"), scope: "alone" }, c], { tables });
    on.snapshot.resume();
    await on.asking();
    const move = (name: string) =>
      on.change("u", { id: 9 }, { id: 3, amount: 1 }, { table: { ...on.table, name }, unchanged: ["note"] });
    move("b");
    move("c");

    expect(on.snapshot.text).toBe("@~public.a(k)/5@~public.b(k)/7@public.c@public.b?%5B%5D");
  });

  it("are read once at a time: a second request waits for the first one, and what is behind it too", async () => {
    const asked: TableRead = { ...b, scope: [["amount", ">", "1"]] };
    const on = bench([{ ...a, scope: "alone" }, { ...b, scope: [] }, asked, { ...c, scope: [] }], {
      tables,
      workers: 4,
    });
    on.snapshot.resume();
    await on.asking(2);
    on.answer(rows, true, "a");
    await on.marked();
    on.reach();
    expect(on.asked.map(({ name }) => name)).toEqual(["a", "b"]);

    on.answer(rows, true, "b");
    await on.marked();
    on.reach();
    await on.asking(2);
    expect(
      on.asked
        .map(({ name }) => name)
        .slice(2)
        .toSorted(),
    ).toEqual(["b", "c"]);
  });

  it("hold the log each by itself", async () => {
    const on = bench([a], { tables, workers: 2 });
    on.snapshot.resume();
    await on.asking(2);
    const large = (name: string) => ({ table: { ...on.table, name }, bytes: 20_000_000 });
    on.change("c", null, { id: 2, amount: 1, note: "" }, large("a"));
    on.change("c", null, { id: 2, amount: 1, note: "" }, large("b"));
    on.answer(rows, true, "a");
    await on.marked();
    expect(on.isHeld()).toBe(true);
    on.answer(rows, true, "b");
    await on.marked(2);
    expect(on.isHeld()).toBe(false);
  });

  it("take note each of its own changes", async () => {
    const on = bench([a], { tables, workers: 2 });
    on.snapshot.resume();
    await on.asking(2);
    on.change("u", null, { id: 1, amount: 77, note: "x" }, { table: { ...on.table, name: "b" } });
    on.answer(rows, true, "a");
    on.answer(rows, true, "b");
    await on.marked(2);
    on.reach();
    expect(on.events.map(({ op, source }) => `${op} ${source.table}`).slice(1)).toEqual(["r a"]);
  });
});
