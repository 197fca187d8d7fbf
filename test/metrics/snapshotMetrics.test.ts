import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { rxaddError } from "../../src/errors/rxaddError.ts";
import { type SnapshotProgress, snapshotMetrics } from "../../src/metrics/index.ts";

const reading = (rows: number, estimated: number | undefined = 1000): SnapshotProgress => {
  return { table: "public.orders", rows, estimated, state: "reading" };
};
const read = (rows: number): SnapshotProgress => ({ ...reading(rows), state: "read" });

/** What stands in the registry after it was told all this, by name. */
async function figuresOf(...told: readonly SnapshotProgress[]): Promise<Record<string, number>> {
  const registry = new Registry();
  const metrics = snapshotMetrics({ pipeline: "shop", registry });
  for (const progress of told) metrics.next(progress);
  const lines = (await registry.metrics()).matchAll(
    /^rxadd_snapshot_(\w+)\{pipeline="shop",table="(.+)"\} (\d+)$/gm,
  );
  return Object.fromEntries([...lines].map(([, name, table, value]) => [`${table} ${name}`, Number(value)]));
}

describe("snapshotMetrics", () => {
  it("counts the rows of each table as they are read", async () => {
    const other = { ...read(7), table: "public.lines" };
    expect(await figuresOf(reading(50), reading(250), read(250), other)).toEqual({
      "public.orders rows_total": 250,
      "public.orders estimated_rows": 1000,
      "public.orders refused_total": 0,
      "public.lines rows_total": 7,
      "public.lines estimated_rows": 1000,
      "public.lines refused_total": 0,
    });
  });

  it("counts the rows of tables that are read side by side", async () => {
    const lines = (progress: SnapshotProgress) => ({ ...progress, table: "public.lines" });
    const told = [reading(50), lines(reading(20)), reading(250), lines(read(20)), read(250)];
    expect(await figuresOf(...told)).toMatchObject({
      "public.orders rows_total": 250,
      "public.lines rows_total": 20,
    });
  });

  it("adds what another connection counts anew, and a table that is read again", async () => {
    const told = [reading(50), reading(250), reading(50), reading(250), read(260), reading(50), read(60)];
    expect(await figuresOf(...told)).toMatchObject({ "public.orders rows_total": 250 + 260 + 60 });
    expect(await figuresOf(reading(50), reading(50))).toMatchObject({ "public.orders rows_total": 100 });
  });

  it("shows no estimate where there is none any more", async () => {
    expect(await figuresOf(reading(50), { ...reading(60), estimated: undefined })).toEqual({
      "public.orders rows_total": 60,
      "public.orders refused_total": 0,
    });
  });

  it("counts what cannot be read", async () => {
    const error = rxaddError("NotConfigured", "no key");
    const refused: SnapshotProgress = { ...read(0), state: "refused", error };
    expect(await figuresOf(refused, refused)).toMatchObject({ "public.orders refused_total": 2 });
  });
});
