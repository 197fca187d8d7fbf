import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { Client } from "pg";
import { NEVER } from "rxjs";
import { describe, expect, it } from "vitest";
import { sharedUpTo, timelinesIn, timelinesOf } from "../../../src/sources/postgres/timelines.ts";
import { collect, postgresBed } from "./postgresBed.ts";

/** As PostgreSQL writes it; from version 19 on with leading zeros. */
const history = (...ends: readonly string[]) =>
  `${ends.map((end, index) => `${index + 1}\t${end}\tno recovery target specified\n`).join("\n")}`;
const first = timelinesIn("7", "1", "");
const second = timelinesIn("7", "2", history("0/5000060"));
const third = timelinesIn("7", "3", history("0/5000060", "0/7000000"));

describe("the log of two servers", () => {
  it.each([
    ["the same server", second, second, undefined],
    ["one that has taken over", first, second, "0/5000060"],
    ["the server before", second, first, "0/5000060"],
    ["one that has taken over from the one that had", first, third, "0/5000060"],
    ["the next", second, third, "0/7000000"],
    [
      "the next, written otherwise",
      second,
      timelinesIn("7", "3", history("0/05000060", "0/07000000")),
      "0/7000000",
    ],
    [
      "one restored to a place before",
      third,
      timelinesIn("7", "4", history("0/5000060", "0/6000000")),
      "0/6000000",
    ],
    [
      "one restored to a place before any of it",
      third,
      timelinesIn("7", "4", history("0/2000000")),
      "0/2000000",
    ],
    [
      "another one that took over as the same timeline",
      second,
      timelinesIn("7", "2", history("0/4000000")),
      "0/4000000",
    ],
    ["a sibling", second, timelinesIn("7", "3", history("0/6000000")), "0/5000060"],
    ["another system", first, timelinesIn("8", "1", ""), "0/0"],
  ])("is the same up to where they part: %s", (_, one, other, place) => {
    expect(sharedUpTo(one, other)).toBe(place);
    expect(sharedUpTo(other, one)).toBe(place);
  });

  it("is read from a history with comments, blank lines and reasons of any kind", () => {
    const text = '# 9\t0/9\n\n  1 0/5000060 before 2026-11-27 10:00:00\n2\tA/B\tat restore point "1\t0/1"\n';

    expect(timelinesIn("7", "3", text).map(({ begins }) => begins)).toEqual(["0/0", "0/5000060", "A/B"]);
  });
});

describe("a server that has been promoted", () => {
  const bed = postgresBed();

  it.each(["there", "gone"])("is read on where its history is %s", async (history) => {
    await bed.openSlot();
    const [{ data_directory: data }] = (await bed.query("SHOW data_directory")) as [
      { data_directory: string },
    ];
    execFileSync("sh", ["-ec", "touch standby.signal; chown --reference=PG_VERSION standby.signal"], {
      cwd: data,
    });
    await bed.restart();
    await bed.query("SELECT pg_promote()");
    if (history === "gone") execFileSync("sh", ["-ec", "rm *.history"], { cwd: join(data, "pg_wal") });
    const client = new Client({ connectionString: bed.connectionString(), ...{ replication: "database" } });
    await client.connect();
    const found = await timelinesOf(client);
    await client.end();
    const begins = ["0/0", expect.stringMatching(/^0\/1[0-9A-F]+$/)];
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
