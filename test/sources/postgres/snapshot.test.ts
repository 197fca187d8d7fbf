import { NEVER } from "rxjs";
import { describe, expect, it } from "vitest";
import type { Lsn } from "../../../src/index.ts";
import type { PostgresOptions } from "../../../src/sources/postgres/index.ts";
import { collect, postgresBed, upTo } from "./postgresBed.ts";

const bed = postgresBed();
const { query } = bed;

/** A source with a snapshot, from a position on. */
function reading(from?: Lsn, options: Partial<PostgresOptions> = {}) {
  return collect(bed.source({ snapshot: "initial", acceptHole: false, ...options })(from, NEVER));
}

describe("a snapshot", () => {
  it("tells the rows that are there, then every change", async () => {
    await query("INSERT INTO orders SELECT n, 'tea', n FROM generate_series(1, 1200) AS n");
    const run = reading(undefined, {
      failed: { next: (a) => console.log(a) },
      opened: { next: (a) => console.log(a) },
      progress: { next: (a) => console.log(a) },
    });
    await run.has(1200);
    await query("INSERT INTO orders VALUES (1201, 'milk', 1)");
    await run.has(1201);
    run.unsubscribe();

    expect(run.failures).toEqual([]);
    expect(run.ids()).toEqual(upTo(1201));
    expect(run.events[1199]).toMatchObject({
      op: "r",
      before: null,
      after: { id: 1200, item: "tea", amount: 1200 },
      source: { connector: "postgresql", db: "postgres", schema: "public", table: "orders" },
    });
    expect(run.events[1200]?.op).toBe("c");
    expect(run.position(0)).toMatch(/^\w+\/\w+:1@public\.orders\/1$/);
    expect(run.position(1200)).toMatch(/^\w+\/\w+:1$/);
  });
});
