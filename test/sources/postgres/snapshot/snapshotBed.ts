import { NEVER, type Observable } from "rxjs";
import { afterEach } from "vitest";
import type { Flow } from "../../../../operators/flow.ts";
import type { Lsn } from "../../../../src/index.ts";
import type { PostgresOptions } from "../../../../src/sources/postgres/index.ts";
import { collect, postgresBed } from "../postgresBed.ts";

/** A bed for sources that read the rows that are there; what a test reads ends with it. */
export function snapshotBed() {
  const bed = postgresBed();
  const runs: { readonly unsubscribe: () => void }[] = [];
  // Before the bed waits for the slot to be free.
  afterEach(() => {
    for (const run of runs.splice(0)) run.unsubscribe();
  });

  return {
    bed,
    runs,
    /** A source with a snapshot, from a position on. */
    reading: (from?: Lsn, options: Partial<PostgresOptions> = {}, flow: Observable<Flow> = NEVER) => {
      const run = collect(bed.source({ snapshot: "initial", acceptHole: false, ...options })(from, flow));
      runs.push(run);
      return run;
    },
    fill: (rows: number) =>
      bed.query(`INSERT INTO orders SELECT n, 'tea', n FROM generate_series(1, ${rows}) AS n`),
  };
}
