import { Client } from "pg";

/** A row change that the shop has committed, as it has to stand in the stream. */
export type Written = `${"c" | "u" | "d"} ${number} ${number}`;

/** A small shop that has orders already, and writes to its database from its opening until it is closed. */
export interface Shop {
  /** What was there before it opened: order id → amount. */
  readonly stock: ReadonlyMap<number, number>;
  /** All committed changes, in commit order. */
  readonly written: readonly Written[];
  readonly transactions: () => number;
  readonly open: () => void;
  /** Resolves when the last transaction is committed. */
  readonly close: () => Promise<void>;
}

/** A transaction's statements, and what they change. */
interface Purchase {
  readonly sql: string;
  readonly values: readonly unknown[];
  readonly change: Written;
}

const items = ["tea", "coffee", "milk", "bread", "cheese", "apples"];

function pick<A>(list: readonly A[]): A | undefined {
  return list[Math.floor(Math.random() * list.length)];
}

const stocked = 5_000;

/** Makes the shop's table, with orders of the days before; open, it orders, pays, and cancels, in transactions. */
export async function stockShop(connectionString: string): Promise<Shop> {
  const db = new Client(connectionString);
  await db.connect();
  await db.query(
    "CREATE TABLE orders (id int PRIMARY KEY, item text NOT NULL, amount int NOT NULL, status text NOT NULL)",
  );
  await db.query("ALTER TABLE orders REPLICA IDENTITY FULL");
  const stock = await db.query<{ id: number; amount: number }>(
    `INSERT INTO orders SELECT id, ($1::text[])[1 + id % 6], 1 + id % 9, 'paid' FROM generate_series(1, ${stocked}) AS id RETURNING id, amount`,
    [items],
  );

  const written: Written[] = [];
  // What the table holds: order id → amount.
  const orders = new Map(stock.rows.map(({ id, amount }) => [id, amount]));
  let nextId = stocked + 1;
  let transactions = 0;
  let isOpen = true;

  function order(): Purchase {
    const id = nextId;
    nextId += 1;
    const amount = 1 + Math.floor(Math.random() * 9);
    orders.set(id, amount);
    return {
      sql: "INSERT INTO orders VALUES ($1, $2, $3, 'new')",
      values: [id, pick(items), amount],
      change: `c ${id} ${amount}`,
    };
  }

  function change(): Purchase {
    const [id, amount] = pick([...orders].slice(-50)) ?? [0, 0];
    if (id === 0) return order();
    if (Math.random() < 0.25) {
      orders.delete(id);
      return { sql: "DELETE FROM orders WHERE id = $1", values: [id], change: `d ${id} ${amount}` };
    }
    orders.set(id, amount + 1);
    return {
      sql: "UPDATE orders SET amount = $2, status = 'changed' WHERE id = $1",
      values: [id, amount + 1],
      change: `u ${id} ${amount + 1}`,
    };
  }

  /** One to six changes; now and then a customer leaves before paying, and nothing of it happens. */
  async function serveCustomer(): Promise<void> {
    const before = new Map(orders);
    const purchases = Array.from({ length: 1 + Math.floor(Math.random() * 6) }, () =>
      Math.random() < 0.5 ? order() : change(),
    );
    await db.query("BEGIN");
    for (const { sql, values } of purchases) await db.query(sql, [...values]);
    if (Math.random() < 0.05) {
      await db.query("ROLLBACK");
      orders.clear();
      for (const [id, amount] of before) orders.set(id, amount);
      return;
    }
    await db.query("COMMIT");
    transactions += 1;
    written.push(...purchases.map(({ change }) => change));
  }

  async function trade(): Promise<void> {
    while (isOpen) {
      await serveCustomer();
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 8));
    }
  }

  let trading = Promise.resolve();
  return {
    stock: new Map(orders),
    written,
    transactions: () => transactions,
    open: () => {
      trading = trade();
      // Whoever closes the shop hears of it.
      trading.catch(() => {});
    },
    close: async () => {
      isOpen = false;
      await trading;
      await db.end();
    },
  };
}
