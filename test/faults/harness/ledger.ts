import { fork } from "node:child_process";
import { once } from "node:events";
import { Pool, type PoolClient } from "pg";
import { bundled } from "../../kit/program/bundled.ts";

/** What the entries hold. */
export interface Item {
  /** Its number, from 0. */
  readonly n: number;
}

/** What a process with a consumer that writes to PostgreSQL is told. */
export interface LedgerOrder {
  readonly uri: string;
  readonly connectionString: string;
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  readonly way: "inTransaction" | "byHand";
  /** Kills itself between this COMMIT and its XACK; 0: never. */
  readonly diesAfter: number;
}

/** What was written by handlers. */
export interface Ledger {
  readonly pool: Pool;
  /** How often each number was written, as far as it was, and what the accounts add up to. */
  readonly found: () => Promise<{ readonly events: number; readonly twice: number; readonly sum: number }>;
  readonly close: () => Promise<void>;
}

/** An account has a row that all transactions want, and each event one of its own. */
export async function openLedger(connectionString: string): Promise<Ledger> {
  const pool = new Pool({ connectionString });
  await pool.query(`CREATE TABLE accounts (id int PRIMARY KEY, sum bigint NOT NULL);
    INSERT INTO accounts SELECT id, 0 FROM generate_series(0, 9) id;
    CREATE TABLE events (n int PRIMARY KEY, times int NOT NULL)`);
  return {
    pool,
    found: async () => {
      const { rows } =
        await pool.query(`SELECT count(*)::int AS events, sum(times)::int - count(*)::int AS twice,
        (SELECT sum(sum)::float8 FROM accounts) AS sum FROM events`);
      return rows[0];
    },
    close: () => pool.end(),
  };
}

/** The work of a handler. */
export async function write(client: Pick<PoolClient, "query">, { n }: Item): Promise<void> {
  await client.query("UPDATE accounts SET sum = sum + $1 WHERE id = $1 % 10", [n]);
  await client.query(
    "INSERT INTO events VALUES ($1, 1) ON CONFLICT (n) DO UPDATE SET times = events.times + 1",
    [n],
  );
}

/** Runs a process until it dies; resolves to whether it did so by itself, rather than as `stop` asked for. */
export async function runLedger(order: LedgerOrder, stop: AbortSignal): Promise<boolean> {
  const child = fork(await bundled(new URL("./ledgerProgram.ts", import.meta.url)), [JSON.stringify(order)], {
    execArgv: [],
  });
  const end = () => child.kill("SIGKILL");
  stop.addEventListener("abort", end);
  if (stop.aborted) end();
  const [code] = await once(child, "exit");
  stop.removeEventListener("abort", end);
  if (code !== null) throw new Error(`the consumer ended by itself, with exit code ${code}`);
  return !stop.aborted;
}
