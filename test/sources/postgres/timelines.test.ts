import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { Client } from "pg";
import { NEVER } from "rxjs";
import { describe, expect, it } from "vitest";
import { type Lsn, placeOf } from "../../../src/event/lsn.ts";
import { partingOf } from "../../../src/sources/postgres/checkAvailable.ts";
import type { OpenedSlot } from "../../../src/sources/postgres/index.ts";
import {
  sharedUpTo,
  timelinesIn,
  timelinesOf,
  toComeAgain,
} from "../../../src/sources/postgres/timelines.ts";
import { placePosition, walNumber } from "../../../src/sources/postgres/walPosition.ts";
import { collect, postgresBed } from "./postgresBed.ts";

/** As PostgreSQL writes it; from version 19 on with leading zeros. */
const history = (...ends: readonly string[]) =>
  `${ends.map((end, index) => `${index + 1}\t${end}\tno recovery target specified\n`).join("\n")}`;
const log = (...written: Parameters<typeof timelinesIn>) => timelinesIn(...written) ?? [];
const first = log("7", "1", "");
const second = log("7", "2", history("0/5000060"));
const third = log("7", "3", history("0/5000060", "0/7000000"));

describe("the log of two servers", () => {
  it.each([
    ["the same server", second, second, undefined],
    ["one that has taken over", first, second, "0/5000060"],
    ["the server before", second, first, "0/5000060"],
    ["one that has taken over from the one that had", first, third, "0/5000060"],
    ["the next", second, third, "0/7000000"],
    ["the next, written otherwise", second, log("7", "3", history("0/05000060", "0/07000000")), "0/7000000"],
    ["one restored to a place before", third, log("7", "4", history("0/5000060", "0/6000000")), "0/6000000"],
    ["one restored to a place before any of it", third, log("7", "4", history("0/2000000")), "0/2000000"],
    [
      "another one that took over as the same timeline",
      second,
      log("7", "2", history("0/4000000")),
      "0/4000000",
    ],
    ["a sibling", second, log("7", "3", history("0/6000000")), "0/5000060"],
    ["another system", first, log("8", "1", ""), "0/0"],
  ])("is the same up to where they part: %s", (_, one, other, place) => {
    expect(sharedUpTo(one, other)).toBe(place);
    expect(sharedUpTo(other, one)).toBe(place);
  });

  it("is read from a history with comments, blank lines and reasons of any kind", () => {
    const text = '# 9\t0/9\n\n  1 0/5000060 before 2026-11-27 10:00:00\n2\tA/B\tat restore point "1\t0/1"\n';

    expect(log("7", "3", text).map(({ begins }) => begins)).toEqual(["0/0", "0/5000060", "A/B"]);
  });

  it("is not known by a history that is none", () => {
    expect(["", "49,9,48", "[object Object]"].map((text) => timelinesIn("7", "2", text))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("what was read of the log that was read before", () => {
  it.each([
    ["0/5000058:9", true],
    ["0/5000060", true],
    ["0/5000060@public.orders", true],
    ["0/5000060:1", false],
    ["0/5000068", false],
    ["1/0:1@public.orders", false],
  ])("is in another one that is the same up to 0/5000060: %s %s", (position, isIn) => {
    expect(partingOf(position as Lsn, "0/5000060" as Lsn) === undefined).toBe(isIn);
  });

  it("shows no key of a row", () => {
    expect(partingOf("1/0:1@public.orders(a)/s3cret" as Lsn, "0/5" as Lsn)).not.toContain("s3cret");
  });
});

describe("a transaction", () => {
  it.each([
    ["0/5000060:1", "0/5000060", second, 0x5000060n],
    ["0/6000000:2", "0/05000000", second, 0x6000000n],
    ["0/6000000:2", "0/5000068", second, undefined],
    ["0/5000058:1", "0/5000000", second, undefined],
    ["0/6000000", "0/5000000", second, undefined],
    ["0/6000000:2@public.orders", "0/5000000", second, undefined],
    ["0/6000000:2", "0/5000000", first, undefined],
    ["0/6000000:2", "0/5000000", undefined, undefined],
    [undefined, "0/5000000", second, undefined],
  ])("has to come again: of %s, of a slot at %s", (position, confirmed, timelines, place) => {
    expect(toComeAgain(position as Lsn | undefined, confirmed, timelines)).toBe(place);
  });
});

describe("a server that has been promoted", () => {
  const bed = postgresBed();

  async function promote(): Promise<string> {
    const [{ data_directory: data }] = (await bed.query("SHOW data_directory")) as [
      { data_directory: string },
    ];
    const signal = "touch standby.signal; chown --reference=PG_VERSION standby.signal";
    execFileSync("sh", ["-ec", signal], { cwd: data });
    await bed.restart();
    await bed.query("SELECT pg_promote()");
    return data;
  }

  describe("and that a process reads which has not seen it happen", () => {
    /** The positions of three changes of one transaction, and of one of another, that nobody has acknowledged. */
    async function unacknowledged(): Promise<readonly Lsn[]> {
      await bed.openSlot();
      await bed.query("INSERT INTO orders VALUES (0)");
      const [first] = await bed.read(1);
      await promote();
      await bed.query("INSERT INTO orders VALUES (1), (2), (3)");
      await bed.query("INSERT INTO orders VALUES (4)");
      const changes = await bed.read(4, first?.position, { acceptHole: false });
      return changes.map(({ position }) => position as Lsn);
    }

    /** A place behind a position at which nothing begins. */
    const behind = (position: Lsn) => `${placePosition(walNumber(position) + 8n)}:1` as Lsn;

    it("goes on behind each change that comes again", async () => {
      for (const [index, position] of (await unacknowledged()).entries()) {
        const changes = collect(bed.source({ acceptHole: false })(position, NEVER));
        await bed.reading();
        await bed.query(`INSERT INTO orders VALUES (${5 + index})`);
        await expect.poll(changes.ids).toEqual([2, 3, 4, 5, 6, 7, 8].slice(index, 4 + index));
        expect(changes.failures).toEqual([]);
        changes.unsubscribe();
        await bed.idle();
      }
    });

    it("is refused at each start where a change has to come again, and another comes, or none", async () => {
      const [, , third, last] = await unacknowledged();
      for (const position of [third, third, last]) {
        const changes = collect(bed.source({ acceptHole: false })(behind(position as Lsn), NEVER));
        await expect.poll(() => changes.failures).toMatchObject([{ _tag: "PositionUnavailable" }]);
        expect(changes.events).toEqual([]);
        await bed.idle();
      }
    });

    it("is gone on with where that is accepted, and told", async () => {
      const [, , third] = await unacknowledged();
      const holes: unknown[] = [];
      const opened = { next: ({ hole }: OpenedSlot) => holes.push(hole) };
      const changes = collect(bed.source({ opened })(behind(third as Lsn), NEVER));

      await expect.poll(changes.ids).toEqual([4]);

      expect(holes).toEqual([undefined, expect.stringMatching(/^found no transaction at position 0\//)]);
      changes.unsubscribe();
    });

    it("is gone on with behind a place that was only passed, of which nothing has to come", async () => {
      const [, , third] = await unacknowledged();
      const place = placeOf(behind(third as Lsn)).replace(":1", "") as Lsn;
      const changes = collect(bed.source({ acceptHole: false })(place, NEVER));

      await expect.poll(changes.ids).toEqual([4]);

      changes.unsubscribe();
    });
  });

  // The last one: without its history it would not start as a standby again.
  it.each(["there", "gone"])("is read on where its history is %s", async (history) => {
    await bed.openSlot();
    const data = await promote();
    if (history === "gone") execFileSync("sh", ["-ec", "rm *.history"], { cwd: join(data, "pg_wal") });
    const client = new Client({ connectionString: bed.connectionString(), ...{ replication: "database" } });
    await client.connect();
    const found = await timelinesOf(client);
    await client.end();
    const begins = expect.arrayContaining(["0/0", expect.stringMatching(/^0\/1[0-9A-F]+$/)]);
    expect(found?.map((timeline) => timeline.begins)).toEqual(history === "gone" ? undefined : begins);
    const changes = collect(bed.source()(undefined, NEVER));
    await bed.reading();
    await bed.query("INSERT INTO orders VALUES (1)");
    await changes.has(1);

    await bed.query(`SELECT pg_terminate_backend(${await bed.activePid()})`);
    await bed.query("INSERT INTO orders VALUES (2)");

    await expect.poll(changes.ids).toEqual([1, 2]);
    expect(changes.failures).toEqual([]);
    changes.unsubscribe();
  });
});
