import { lastValueFrom, NEVER, take } from "rxjs";
import { expect, it } from "vitest";
import { postgresBed } from "./postgresBed.ts";

const bed = postgresBed();
const { query } = bed;

it.each([
  ["64kB", true],
  ["64MB", false],
])(
  "a large transaction is written to the server's disk where %s do not hold it: %s",
  async (memory, isSpilt) => {
    const options = { client: { options: `-c logical_decoding_work_mem=${memory}` } };
    await bed.openSlot();
    await query("INSERT INTO orders SELECT n, 'tea', n FROM generate_series(1, 20000) AS n");

    await lastValueFrom(bed.source(options)(undefined, NEVER).pipe(take(20_000)));

    await expect
      .poll(() =>
        query(
          "SELECT total_txns > 0 AS told, spill_bytes > 0 AS spilt FROM pg_stat_replication_slots JOIN pg_replication_slots USING (slot_name)",
        ),
      )
      .toEqual([{ told: true, spilt: isSpilt }]);
  },
);
