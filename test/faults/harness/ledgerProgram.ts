import { Pool } from "pg";
import { defer, tap } from "rxjs";
import { acknowledge, type Delivery, groupDeliveries, inTransaction } from "../../../src/consumer.ts";
import { type Item, type LedgerOrder, write } from "./ledger.ts";

// A consumer that writes to PostgreSQL, and kills itself right after a COMMIT, before it can acknowledge.
const order: LedgerOrder = JSON.parse(process.argv[2] ?? "");
const { connectionString, way, diesAfter, ...where } = order;
const pool = new Pool({ connectionString });
let commits = 0;

const byRxadd = inTransaction(pool, write);

/** As one writes it without a mark. */
async function byHand(item: Item): Promise<void> {
  const client = await pool.connect();
  await client.query("BEGIN");
  await write(client, item);
  await client.query("COMMIT");
  client.release();
}

const handle = (item: Item, delivery: Delivery<Item>) =>
  defer(() => (way === "inTransaction" ? byRxadd(item, delivery) : byHand(item))).pipe(
    tap({
      complete: () => {
        commits += 1;
        if (commits === diesAfter) process.kill(process.pid, "SIGKILL");
      },
    }),
  );

// Nobody would end it any more.
process.once("disconnect", () => process.exit());

await groupDeliveries<Item>({ ...where, claimIdleMs: 1000, window: 100, blockMs: 100 })
  .pipe(acknowledge(handle, { concurrency: 5 }))
  .forEach(() => {});
