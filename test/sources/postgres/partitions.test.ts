import { describe, expect, it } from "vitest";
import { postgresBed } from "./postgresBed.ts";

const bed = postgresBed();

async function makeSales(): Promise<void> {
  await bed.query(`CREATE TABLE sales (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
    CREATE TABLE sales_east PARTITION OF sales FOR VALUES IN ('east');
    CREATE TABLE sales_west PARTITION OF sales FOR VALUES IN ('west') PARTITION BY RANGE (id);
    CREATE TABLE sales_west_1 PARTITION OF sales_west FOR VALUES FROM (0) TO (100)`);
}

async function changeSales(): Promise<void> {
  await bed.query("INSERT INTO sales VALUES (1, 'east'), (2, 'west')");
  await bed.query("CREATE TABLE sales_north PARTITION OF sales FOR VALUES IN ('north')");
  await bed.query("INSERT INTO sales VALUES (3, 'north')");
  // The row moves to another partition.
  await bed.query("UPDATE sales SET region = 'west' WHERE id = 1");
  await bed.query("ALTER TABLE sales DETACH PARTITION sales_north");
  await bed.query("INSERT INTO sales_north VALUES (4, 'north')");
  await bed.query("DELETE FROM sales");
}

async function told(count: number, viaPartitionRoot?: boolean): Promise<string[]> {
  const events = await bed.read(count, undefined, { tables: ["public.sales"], viaPartitionRoot });
  return events.map(({ op, source, before, after }) => `${op} ${source.table} ${(after ?? before)?.id}`);
}

describe("a partitioned table", () => {
  it("has the changes of its partitions under its own name, where that is asked for", async () => {
    await makeSales();
    await bed.openSlot({ tables: ["public.sales"], viaPartitionRoot: true });
    await changeSales();

    expect(await told(7, true)).toEqual([
      ...["c sales 1", "c sales 2", "c sales 3"],
      ...["d sales 1", "c sales 1"],
      ...["d sales 2", "d sales 1"],
    ]);
  });

  it.each([undefined, false])(
    "has them under the names of the partitions else: %s",
    async (viaPartitionRoot) => {
      await makeSales();
      await bed.openSlot({ tables: ["public.sales"], viaPartitionRoot });
      await changeSales();

      expect(await told(7, viaPartitionRoot)).toEqual([
        ...["c sales_east 1", "c sales_west_1 2", "c sales_north 3"],
        ...["d sales_east 1", "c sales_west_1 1"],
        ...["d sales_west_1 2", "d sales_west_1 1"],
      ]);
    },
  );

  it("is as a publication that stands has it, which is refused where it is asked for otherwise", async () => {
    await makeSales();
    await bed.openSlot({ tables: ["public.sales"], viaPartitionRoot: true });
    await changeSales();

    expect(await told(1)).toEqual(["c sales 1"]);
    await expect(told(1, false)).rejects.toMatchObject({
      _tag: "NotConfigured",
      message: expect.stringContaining(
        `viaPartitionRoot: found publication ${bed.publication()} with true, expected false: ALTER PUBLICATION`,
      ),
    });
    await bed.query(`ALTER PUBLICATION ${bed.publication()} SET (publish_via_partition_root = false)`);
    // What was changed before that is told as it was then.
    expect(await told(1, false)).toEqual(["c sales 1"]);
  });

  it("may be of a publication of all tables", async () => {
    await makeSales();
    await bed.openSlot({ viaPartitionRoot: true });
    await changeSales();

    const events = await bed.read(8);

    expect(events.map(({ source }) => source.table)).toEqual([
      ...Array(5).fill("sales"),
      "sales_north",
      ...Array(2).fill("sales"),
    ]);
  });
});
