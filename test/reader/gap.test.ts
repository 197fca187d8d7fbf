import { lastValueFrom, of, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { gaps, type Skipped } from "../../src/reader/gap.ts";
import type { ReadConnection, Standing } from "../../src/redis/read/readConnection.ts";

const stream = "orders.events";

/** What is told of entries that were read, where the stream stands like this when it is looked at. */
function told(standing: Partial<Standing>, ...skipped: readonly Skipped[]) {
  const whole = { lastEntryId: "15-0", firstEntryId: undefined, length: 0, added: 15, lastDeletedId: "0-0" };
  const connection: Pick<ReadConnection, "exists" | "standing"> = {
    exists: () => of(false),
    standing: () => of({ ...whole, ...standing }),
  };
  return lastValueFrom(gaps(connection, of(...skipped)).pipe(toArray()));
}

/** Ten entries were read, the last five of them in one read. */
const read: Skipped = {
  stream,
  after: { entryId: "5-0", index: 5 },
  entryIds: ["6-0", "7-0", "8-0", "9-0", "10-0"],
};

describe("what was read is trimmed before it is looked whether anything is missing", () => {
  it.each<[string, Partial<Standing>]>([
    ["up to what it read last", { firstEntryId: "11-0", length: 5 }],
    ["up to the middle of it", { firstEntryId: "8-0", length: 8 }],
    ["up to its first entry", { firstEntryId: "7-0", length: 9 }],
    ["and nothing else was there", { firstEntryId: undefined, length: 0, added: 10 }],
  ])("%s: there is no gap", async (_, standing) => {
    expect(await told(standing, read)).toEqual([]);
  });

  it("counts what was trimmed before that read", async () => {
    const skipped: Skipped = { ...read, entryIds: ["8-0", "9-0", "10-0"] };

    expect(await told({ firstEntryId: "9-0", length: 7 }, skipped)).toEqual([
      { state: "gap", stream, after: "5-0", before: "8-0", missed: 2 },
    ]);
  });

  const behind: Skipped = {
    ...read,
    after: { entryId: "10-0", index: 10 },
    entryIds: ["13-0", "14-0", "15-0"],
  };

  it("tells what is missing with the next read when all of it is gone", async () => {
    expect(await told({ firstEntryId: "13-0", length: 3 }, read, behind)).toEqual([
      { state: "gap", stream, after: "5-0", before: "13-0", missed: 2 },
    ]);
  });

  it("tells nothing where all of it is gone, and what came behind it has been read", async () => {
    const next: Skipped = { ...behind, entryIds: ["11-0", "12-0", "13-0"] };

    expect(await told({ firstEntryId: "13-0", length: 3 }, read, next)).toEqual([]);
  });

  it("tells how many are missing where all of it is gone, and nothing came behind it", async () => {
    const skipped: Skipped = { ...read, entryIds: ["8-0", "9-0", "10-0"] };

    expect(await told({ added: 10, lastEntryId: "10-0" }, skipped)).toEqual([
      { state: "gap", stream, after: "5-0", before: "8-0", missed: 2 },
    ]);
  });

  it.each<[string, Partial<Standing>]>([
    ["before it was read", { firstEntryId: "6-0", length: 10, lastDeletedId: "5-0" }],
    ["after it was read", { firstEntryId: "6-0", length: 8, lastDeletedId: "9-0" }],
    ["as all there was", { firstEntryId: undefined, length: 0, added: 10, lastDeletedId: "10-0" }],
  ])("tells nothing where a group took out what was read, %s", async (_when, standing) => {
    expect(await told(standing, read)).toEqual([]);
  });

  it("tells what it misses once", async () => {
    const skipped: Skipped = { ...read, entryIds: ["8-0", "9-0"] };
    const next: Skipped = { ...read, after: { entryId: "9-0", index: 7 }, entryIds: ["10-0", "11-0"] };

    expect(await told({ firstEntryId: "9-0", length: 7 }, skipped, next)).toEqual([
      { state: "gap", stream, after: "5-0", before: "8-0", missed: 2 },
    ]);
  });
});
