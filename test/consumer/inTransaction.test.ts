import { Pool, type PoolClient } from "pg";
import { from, lastValueFrom, NEVER, Observable, of, Subject, take, tap, toArray } from "rxjs";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import {
  acknowledge,
  acknowledgeBatch,
  type Delivery,
  deadLetter,
  deduplicate,
  effects,
  giveBack,
  inTransaction,
  retryIn,
} from "../../src/consumer.ts";
import { fakeGroup } from "../../src/testing/fakeGroup.ts";
import { type Order, ordersGroup, stream } from "../kit/load/ordersGroup.ts";
import { watched } from "../kit/load/watched.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { startValve } from "../kit/network/valve.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { type PostgresServer, startPostgres } from "../kit/servers/postgresServer.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const redis = emptyRedis();
const { add, deliveries, pending } = ordersGroup(redis);
const again = { redelivery: { initialMs: 10 } };
/** What fails is a dead letter at once. */
const never = { deadLetters: { stream: "orders.dead" }, maxDeliveries: 1 };

let postgres: PostgresServer;
let pool: Pool;
beforeAll(async () => {
  postgres = await startPostgres();
  pool = poolTo(postgres.port);
});
afterAll(async () => {
  await pool.end();
  await postgres.stop();
});
beforeEach(async () => {
  await pool.query("DROP TABLE IF EXISTS rxadd_inbox, work; CREATE TABLE work (n int)");
});

function poolTo(port: number, settings: ConstructorParameters<typeof Pool>[0] = {}): Pool {
  const server = { host: "127.0.0.1", port, user: "postgres", password: "secret", database: "postgres" };
  // A client that breaks while nobody has it is the pool's business.
  return new Pool({ ...server, ...settings }).on("error", () => {});
}

/** One of the test's own. */
function ownPool(...where: Parameters<typeof poolTo>): Pool {
  const own = poolTo(...where);
  onTestFinished(() => own.end());
  return own;
}

const insert = (client: Pick<PoolClient, "query">, n: number) =>
  client.query("INSERT INTO work VALUES ($1)", [n]);

/** What stands in the table. */
async function written(): Promise<readonly number[]> {
  const { rows } = await pool.query<Order>("SELECT n FROM work ORDER BY n");
  return rows.map(({ n }) => n);
}

async function marks(): Promise<readonly string[]> {
  const { rows } = await pool.query(
    "SELECT entry_ms || '-' || entry_number AS id FROM rxadd_inbox ORDER BY 1",
  );
  return rows.map(({ id }) => id);
}

const deadLetters = () => redis.client.xlen("orders.dead");

/** Runs until the test has ended. */
function run<A>(acknowledged$: Observable<A>) {
  const acknowledged = vi.fn<(one: A) => void>();
  const running = acknowledged$.subscribe(acknowledged);
  onTestFinished(() => running.unsubscribe());
  return { acknowledged, running, has: (times: number) => acknowledged.mock.calls.length >= times };
}

/** Handles the only entry, and tells what came of it in the end. */
async function handles(
  handler: (client: PoolClient, order: Order, times: number) => unknown,
  settings: Parameters<typeof deliveries>[0] = again,
  from = pool,
) {
  const { status, first } = watched();
  let times = 0;
  const { has } = run(
    deliveries({ status, ...settings }).pipe(
      acknowledge(
        inTransaction(from, (client, order) => {
          times += 1;
          return handler(client, order, times);
        }),
      ),
    ),
  );
  await waitUntil(() => has(1));
  return { times, first };
}

describe("inTransaction", () => {
  it("commits what the handler has written together with a mark, and acknowledges", async () => {
    const ids = await add(1, 2);

    const results = await lastValueFrom(
      deliveries().pipe(
        acknowledge(inTransaction(pool, async (client, { n }) => (await insert(client, n)).rowCount)),
        take(2),
        toArray(),
      ),
    );

    expect(results.map(({ delivery, result }) => [delivery.event.n, result])).toEqual([
      [1, 1],
      [2, 1],
    ]);
    expect(await written()).toEqual([1, 2]);
    expect(await marks()).toEqual(ids.sort());
    await waitUntil(async () => (await pending()) === 0);
  });

  it("acknowledges what comes again after its consumer died between COMMIT and XACK, without its handler", async () => {
    await add(1);
    const handler = vi.fn(insertOrder);
    const handle = inTransaction(pool, handler);
    const died = new Promise<void>((died) => {
      const running = deliveries()
        .pipe(
          acknowledge((order, delivery) =>
            handle(order, delivery).pipe(
              tap({
                complete: () => {
                  running.unsubscribe();
                  died();
                },
              }),
            ),
          ),
        )
        .subscribe();
    });
    await died;
    expect(await pending()).toBe(1);

    const { acknowledged, has } = run(deliveries().pipe(acknowledge(handle)));
    await waitUntil(() => has(1));

    expect(acknowledged).toHaveBeenCalledWith(expect.objectContaining({ result: undefined }));
    expect(handler).toHaveBeenCalledTimes(1);
    expect(await written()).toEqual([1]);
    expect(await pending()).toBe(0);
  });

  it("is once for each group", async () => {
    await add(1);
    for (const group of ["one", "two"]) {
      const { has } = run(deliveries({ group }).pipe(acknowledge(inTransaction(pool, insertOrder))));
      await waitUntil(() => has(1));
    }

    expect(await written()).toEqual([1, 1]);
  });

  it("handles what has the ID of an entry that was there before the stream was made anew, unless it is the same", async () => {
    const add = (n: number) => redis.client.xadd(stream, "7-1", "event", JSON.stringify({ id: "o", n }));
    for (const n of [1, 2, 2]) {
      await redis.client.del(stream);
      await add(n);
      const { running, has } = run(deliveries().pipe(acknowledge(inTransaction(pool, insertOrder))));
      await waitUntil(() => has(1));
      running.unsubscribe();
    }

    expect(await written()).toEqual([1, 2]);
    expect(await marks()).toEqual(["7-1", "7-1"]);
  });

  it("lets through once what deduplicate tells apart", async () => {
    await add(1, 1, 2);

    const { has } = run(
      deliveries().pipe(
        deduplicate({ key: ({ id }) => id }),
        acknowledge(inTransaction(pool, insertOrder), { concurrency: 3 }),
      ),
    );
    await waitUntil(() => has(2));
    await waitUntil(async () => (await pending()) === 0);

    expect(await written()).toEqual([1, 2]);
  });

  it("waits for what an Observable or a generator of the handler's does", async () => {
    await add(1, 2);
    let calls = 0;

    const { has } = run(
      deliveries().pipe(
        acknowledge(
          inTransaction(pool, (client, { n }) => {
            calls += 1;
            const twice = [() => insert(client, n), () => insert(client, 10 * n)];
            return calls === 1 ? inTurn(twice) : from(inTurn(twice));
          }),
        ),
      ),
    );
    await waitUntil(() => has(2));

    expect(await written()).toEqual([1, 2, 10, 20]);
  });
});

describe("two that have the same entry in hand", () => {
  it("write it once, where the first one lost it while it waited for a client", async () => {
    const [id = ""] = await add(1);
    const narrow = ownPool(postgres.port, { max: 1 });
    const taken = await narrow.connect();
    const { status, first } = watched();
    const late = vi.fn(insertOrder);
    run(deliveries({ status, claimIdleMs: 3000 }).pipe(acknowledge(inTransaction(narrow, late))));
    await waitUntil(() => narrow.waitingCount === 1, 5);
    await redis.client.xclaim(stream, "mailer", "two", 0, id);
    await first("lost");
    const { has } = run(deliveries({ consumer: "two" }).pipe(acknowledge(inTransaction(pool, insertOrder))));
    await waitUntil(() => has(1));

    taken.release();

    await waitUntil(() => narrow.waitingCount === 0 && narrow.idleCount === narrow.totalCount, 5);
    expect(late).not.toHaveBeenCalled();
    expect(await written()).toEqual([1]);
  });

  /** Two consumers in two transactions; what the first one's handler gives ends it. */
  async function both(first: (client: PoolClient) => unknown) {
    const group = fakeGroup<number>({ redelivery: { initialMs: 60_000 } });
    const entry = group.delivery(7);
    const finish = new Subject<void>();
    const isIn = vi.fn();
    const one = run(
      of(entry).pipe(
        acknowledge(
          inTransaction(pool, async (client, n) => {
            await insert(client, n);
            isIn();
            await lastValueFrom(finish, { defaultValue: undefined });
            return first(client);
          }),
        ),
      ),
    );
    await waitUntil(() => isIn.mock.calls.length === 1, 5);
    const second = vi.fn((client: PoolClient, n: number) => insert(client, n));
    const two = run(of(entry).pipe(acknowledge(inTransaction(pool, second))));
    await waitUntil(async () => {
      const { rows } = await pool.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
      return rows.length === 1;
    }, 5);
    expect(second).not.toHaveBeenCalled();
    finish.complete();
    await waitUntil(() => two.has(1));
    return { one, second };
  }

  it("wait for each other: the second one finds it done", async () => {
    const { one, second } = await both(() => "done");

    await waitUntil(() => one.has(1));
    expect(second).not.toHaveBeenCalled();
    expect(await written()).toEqual([7]);
  });

  it("wait for each other: the second one handles it if the first one fails", async () => {
    const { second } = await both(() => {
      throw new Error("no");
    });

    expect(second).toHaveBeenCalledTimes(1);
    expect(await written()).toEqual([7]);
  });
});

describe("a handler in a transaction that", () => {
  it("throws is rolled back, and its delivery comes again", async () => {
    await add(1);

    const { times } = await handles(async (client, { n }, times) => {
      await insert(client, n);
      if (times === 1) throw new Error("not yet");
    });

    expect(times).toBe(2);
    expect(await written()).toEqual([1]);
  });

  it("throws and goes on with its client in the background writes nothing", async () => {
    await add(1);
    const late: Promise<unknown>[] = [];

    await handles((client, { n }, times) => {
      if (times > 1) return undefined;
      const slow = new Promise((resolve) => setTimeout(resolve, 100));
      late.push(slow.then(() => insert(client, n)).catch((error) => error));
      return client.query("SELECT nonsense");
    });

    expect(await late[0]).toBeInstanceOf(Error);
    expect(await written()).toEqual([]);
  });

  it("hangs fails when the server ends its idle transaction, and comes again", async () => {
    await add(1);
    const impatient = ownPool(postgres.port, { idle_in_transaction_session_timeout: 200 });

    const { times, first } = await handles(
      (client, { n }, times) => (times === 1 ? NEVER : insert(client, n)),
      again,
      impatient,
    );

    expect(times).toBe(2);
    expect((await first("rejected")).reason).toMatchObject({ code: "25P03" });
    expect(await written()).toEqual([1]);
  });

  it.each([
    ["COMMIT", [1]],
    ["ROLLBACK", [2]],
    ["COMMIT; BEGIN", [1]],
  ] as const)("ends it by itself, by %s, fails and is told so", async (statement, rows) => {
    await add(1);

    const { first } = await handles(async (client, _order, times) => {
      if (times === 2) return insert(client, 2);
      await insert(client, 1);
      return client.query(statement);
    });

    expect(`${(await first("rejected")).reason}`).toContain("its handler has ended the transaction");
    expect(await written()).toEqual(rows);
  });

  it("catches what a statement threw is not committed", async () => {
    await add(1);

    const { first } = await handles(async (client, { n }, times) => {
      await insert(client, n);
      if (times === 1) await client.query("SELECT nonsense").catch(() => {});
    });

    expect(`${(await first("rejected")).reason}`).toContain("and was caught");
    expect(await written()).toEqual([1]);
  });

  it("sets a savepoint may catch what came after it", async () => {
    await add(1);

    const { times } = await handles(async (client, { n }) => {
      await insert(client, n);
      await client.query("SAVEPOINT here");
      await client.query("SELECT nonsense").catch(() => client.query("ROLLBACK TO here"));
    });

    expect(times).toBe(1);
    expect(await written()).toEqual([1]);
  });

  it("releases its client fails and is told so", async () => {
    await add(1);

    const { first } = await handles(async (client, { n }, times) => {
      try {
        await insert(client, n);
      } finally {
        if (times === 1) client.release();
      }
    });

    expect(`${(await first("rejected")).reason}`).toContain("the client is given back by itself");
    expect(await written()).toEqual([1]);
    expect(pool.totalCount - pool.idleCount).toBe(0);
  });

  it("ends its client fails", async () => {
    await add(1);

    const { times } = await handles(async (client, { n }, times) => {
      await insert(client, n);
      if (times === 1) await Reflect.apply(Reflect.get(client, "end"), client, []);
    });

    expect(times).toBe(2);
    expect(await written()).toEqual([1]);
  });

  it("gives its delivery back, for another time, or up, is rolled back", async () => {
    const orders = fakeGroup<number>({ redelivery: { initialMs: 1 } });
    const given = [giveBack(), retryIn(1), deadLetter("bad")];

    const results = await lastValueFrom(
      from([0, 1, 2].map(orders.delivery)).pipe(
        acknowledge(
          inTransaction(pool, async (client, n, { deliveries }) => {
            await insert(client, 10 * deliveries + n);
            return deliveries === 1 ? given[n] : "done";
          }),
        ),
        toArray(),
      ),
    );

    expect(results.map(({ delivery, result }) => [delivery.event, result])).toEqual([[1, "done"]]);
    expect(orders).toMatchObject({ givenBack: ["1-0"], deadLetters: [{ reason: "bad" }] });
    expect(await written()).toEqual([21]);
    expect(await marks()).toEqual(["2-0"]);
  });

  it("gives effects fails: they would be lost with a process that dies after COMMIT", async () => {
    await add(1);

    const { first } = await handles(async (client, { n }, times) => {
      await insert(client, n);
      return times === 1 ? effects(["INCR", "total"]) : undefined;
    });

    expect(`${(await first("rejected")).reason}`).toContain("found effects, expected none");
    expect(await written()).toEqual([1]);
  });

  it("is unsubscribed is rolled back at once", async () => {
    await add(1);
    const left = vi.fn();
    const begun = vi.fn();
    const { running } = run(
      deliveries().pipe(
        acknowledge(
          inTransaction(
            pool,
            (client, { n }) =>
              new Observable((subscriber) => {
                insert(client, n).then(begun);
                subscriber.add(left);
              }),
          ),
        ),
      ),
    );
    await waitUntil(() => begun.mock.calls.length === 1, 5);

    running.unsubscribe();

    expect(left).toHaveBeenCalledTimes(1);
    await waitUntil(() => pool.totalCount === pool.idleCount, 5);
    expect(await written()).toEqual([]);
    expect(await pending()).toBe(1);
  });

  it("is unsubscribed while it waits for a client gives that back", async () => {
    await add(1);
    const narrow = ownPool(postgres.port, { max: 1 });
    const taken = await narrow.connect();
    const { running } = run(deliveries().pipe(acknowledge(inTransaction(narrow, insertOrder))));
    await waitUntil(() => narrow.waitingCount === 1, 5);

    running.unsubscribe();
    taken.release();

    await waitUntil(() => narrow.waitingCount === 0 && narrow.idleCount === narrow.totalCount, 5);
    expect(await written()).toEqual([]);
  });
});

describe("what goes wrong with the database", () => {
  it("counts against no delivery while it is away", async () => {
    await add(1);
    let away = 1;
    const pools = { connect: () => (away-- > 0 ? Promise.reject(new Error("away")) : pool.connect()) };
    const { status, first } = watched();

    const { acknowledged, has } = run(
      deliveries({ status, ...never }).pipe(acknowledge(inTransaction(pools, insertOrder))),
    );
    await waitUntil(() => has(1));

    expect(await first("rejected")).toMatchObject({ delayMs: 5000, deliveries: 1 });
    expect(acknowledged.mock.calls[0]?.[0].delivery.deliveries).toBe(1);
    expect(await written()).toEqual([1]);
    expect(await deadLetters()).toBe(0);
  });

  it("counts against no delivery where two transactions are in each other's way", async () => {
    const made = of(fakeGroup().delivery("the table")).pipe(
      acknowledge(inTransaction(pool, () => "is made")),
    );
    await lastValueFrom(made);
    const strict = ownPool(postgres.port, { options: "-c default_transaction_isolation=serializable" });
    await pool.query("INSERT INTO work VALUES (0)");
    await add(1, 2, 3, 4);
    const { status, first } = watched();

    const { has } = run(
      deliveries({ status, ...never, ...again }).pipe(
        acknowledge(
          inTransaction(strict, async (client) => {
            const { rows } = await client.query("SELECT n FROM work");
            await client.query("UPDATE work SET n = $1", [rows[0].n + 1]);
          }),
          { concurrency: 4 },
        ),
      ),
    );
    await waitUntil(() => has(4));

    expect((await first("rejected")).reason).toMatchObject({ code: "40001" });
    expect(await written()).toEqual([4]);
    expect(await deadLetters()).toBe(0);
  });

  it("fails a delivery of which a deferred constraint is violated at COMMIT", async () => {
    await pool.query("ALTER TABLE work ADD UNIQUE (n) DEFERRABLE INITIALLY DEFERRED");
    await add(1);

    const { first, times } = await handles(async (client, { n }, times) => {
      await insert(client, n);
      if (times === 1) await insert(client, n);
    });

    expect((await first("rejected")).reason).toMatchObject({ code: "23505" });
    expect(times).toBe(2);
    expect(await written()).toEqual([1]);
  });

  it("leaves a COMMIT whose answer is lost to the mark: it was done", async () => {
    await add(1);
    const proxy = await startProxy(postgres.port);
    onTestFinished(() => proxy.stop());

    const handling = handles(
      async (client, { n }) => {
        await insert(client, n);
        proxy.dropReplies();
      },
      { ...again, ...never },
      ownPool(proxy.port),
    );
    await waitUntil(async () => (await written()).length === 1, 5);
    await proxy.restore();

    expect((await handling).times).toBe(1);
    expect(await written()).toEqual([1]);
    expect(await deadLetters()).toBe(0);
  });

  it("leaves a COMMIT for which the client does not wait to the mark", async () => {
    await pool.query(`CREATE OR REPLACE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END';
      CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON work DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()`);
    await add(1);

    await handles(
      (client, { n }) => insert(client, n),
      { ...again, ...never },
      ownPool(postgres.port, { query_timeout: 300 }),
    );

    expect(await deadLetters()).toBe(0);
    expect(await written()).toEqual([1]);
  });

  it("leaves a COMMIT that gets lost to the mark: it was not done", async () => {
    await add(1);
    const valve = await startValve(postgres.port);
    onTestFinished(() => valve.stop());

    const handling = handles(
      async (client, { n }, times) => {
        await insert(client, n);
        if (times === 1) valve.hold("requests");
      },
      { ...again, ...never },
      ownPool(valve.port),
    );
    await waitUntil(() => valve.held() > 0, 5);
    // The COMMIT never gets there: the client is gone, and the server reads its end only.
    await pool.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'",
    );
    valve.cut();
    valve.release();

    expect((await handling).times).toBe(2);
    expect(await written()).toEqual([1]);
  });
});

describe("acknowledgeBatch in a transaction", () => {
  it("commits a batch as a whole, with a mark for each, and hands over only what is not done", async () => {
    const orders = fakeGroup<number>();
    const [a, b, c] = [1, 2, 3].map(orders.delivery);
    const batches: unknown[] = [];
    const handle = inTransaction(
      pool,
      async (client: PoolClient, numbers: readonly number[], deliveries: readonly Delivery<number>[]) => {
        batches.push([numbers, deliveries.map(({ event }) => event)]);
        await client.query("INSERT INTO work SELECT * FROM unnest($1::int[])", [numbers]);
        return numbers.length;
      },
    );
    if (a === undefined || b === undefined || c === undefined) throw new Error("three deliveries");

    for (const some of [[b], [a, b, c], [a, c]])
      await lastValueFrom(from(some).pipe(acknowledgeBatch(handle), toArray()));

    expect(batches).toEqual([
      [[2], [2]],
      [
        [1, 3],
        [1, 3],
      ],
    ]);
    expect(orders.acknowledged).toEqual([b, a, b, c, a, c].map(({ entryId }) => entryId));
    expect(await written()).toEqual([1, 2, 3]);
    expect((await marks()).length).toBe(3);
  });

  it("tries each of a batch that fails alone, in a transaction of its own", async () => {
    const orders = fakeGroup<number>({ maxDeliveries: 1 });

    await lastValueFrom(
      from([1, 2, 3].map(orders.delivery)).pipe(
        acknowledgeBatch(
          inTransaction(pool, async (client, numbers) => {
            for (const n of numbers) await insert(client, n);
            if (numbers.includes(2)) throw new Error("not this one");
          }),
        ),
        toArray(),
      ),
    );

    expect(await written()).toEqual([1, 3]);
    expect(orders.deadLetters).toEqual([{ entryId: "2-0", reason: new Error("not this one") }]);
  });
});

describe("the marks", () => {
  it("have a table made for them, by one of those that need it at the same time", async () => {
    await pool.query("DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop");
    await add(...Array.from({ length: 10 }, (_, n) => n));

    const { has } = run(
      deliveries(never).pipe(
        acknowledge(inTransaction(pool, insertOrder, { table: "shop.inbox" }), { concurrency: 10 }),
      ),
    );
    await waitUntil(() => has(10));

    expect((await pool.query("SELECT 1 FROM shop.inbox")).rows).toHaveLength(10);
    expect(await written()).toHaveLength(10);
  });

  it("are waited for where nobody may make a table: what is missing is told, and counts against nothing", async () => {
    await pool.query(
      "DROP ROLE IF EXISTS poor; CREATE ROLE poor LOGIN PASSWORD 'secret'; GRANT ALL ON work TO poor",
    );
    onTestFinished(() => pool.query("DROP OWNED BY poor; DROP ROLE poor").then(() => {}));
    const poor = ownPool(postgres.port, { user: "poor" });
    await add(1);
    const { status, first } = watched();

    const { has } = run(deliveries({ status, ...never }).pipe(acknowledge(inTransaction(poor, insertOrder))));
    const { reason } = await first("rejected");
    expect(`${reason}`).toMatch(/found no table "rxadd_inbox".*permission denied.*CREATE TABLE/s);
    const [definition = ""] = `${reason}`.match(/CREATE TABLE.*/s) ?? [];
    await pool.query(`${definition}; GRANT SELECT, INSERT, DELETE ON rxadd_inbox TO poor`);
    await waitUntil(() => has(1));

    expect(await written()).toEqual([1]);
    expect(await deadLetters()).toBe(0);
  });

  /** Handles one more, which looks for marks that can go; a new handler does so at once. */
  async function handleOne(n: number, keepMs?: number): Promise<string> {
    const [id = ""] = await add(n);
    const { running, has } = run(
      deliveries({ claimIdleMs: 100_000 }).pipe(
        acknowledge(inTransaction(pool, insertOrder, keepMs === undefined ? {} : { keepMs })),
      ),
    );
    await waitUntil(() => has(1), 5);
    running.unsubscribe();
    return id;
  }

  it("stay while their entries are in the stream, and for keepMs", async () => {
    const first = await handleOne(1, 0);
    const second = await handleOne(2, 0);
    expect(await marks()).toEqual([first, second]);

    await redis.client.xtrim(stream, "MAXLEN", 0);
    const third = await handleOne(3);
    expect(await marks()).toEqual([first, second, third]);

    const fourth = await handleOne(4, 0);
    expect(await marks()).toEqual([third, fourth]);
  });

  it("stay while their entries are pending", async () => {
    const first = await handleOne(1, 0);
    // As if the acknowledgement had been lost.
    await redis.client.xgroup("SETID", stream, "mailer", "0");
    await redis.client.xreadgroup("GROUP", "mailer", "another", "STREAMS", stream, ">");
    await redis.client.xtrim(stream, "MAXLEN", 0);

    const second = await handleOne(2, 0);

    expect(await marks()).toEqual([first, second]);
  });

  it("that many of can go do so with the next deliveries, a thousand at a time", async () => {
    await handleOne(1);
    await pool.query(
      `INSERT INTO rxadd_inbox SELECT 'orders.events', 'mailer', n, 0, gen_random_uuid(), now() - interval '2 days' FROM generate_series(1, 2500) n;
       INSERT INTO rxadd_inbox SELECT 'orders.events', 'another', n, 0, gen_random_uuid(), now() - interval '2 days' FROM generate_series(1, 10) n`,
    );
    await add(2, 3, 4, 5);

    const { has } = run(deliveries().pipe(acknowledge(inTransaction(pool, insertOrder))));
    await waitUntil(() => has(4), 5);

    expect(await marks()).toHaveLength(5 + 10);
  });

  it("stay, with one warning, where the right to remove them is missing", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockReturnValue();
    onTestFinished(() => warned.mockRestore());
    const connect = async () => {
      const client = await pool.connect();
      const query = client.query.bind(client) as (
        text: string,
        values?: unknown[],
      ) => Promise<{ rows: object[] }>;
      return {
        query: (text: string, values?: unknown[]) =>
          text.startsWith("DELETE") ? Promise.reject(new Error("no right")) : query(text, values),
        release: (destroys?: boolean) => client.release(destroys),
        on: client.on.bind(client),
        off: client.off.bind(client),
      };
    };
    await add(1, 2);

    const { has } = run(deliveries().pipe(acknowledge(inTransaction({ connect }, () => "done"))));
    await waitUntil(() => has(2));

    expect(warned.mock.calls).toEqual([["inTransaction: old marks stay for now: no right", "RxaddWarning"]]);
  });
});

it("refuses what is no pool, no table and no delivery", async () => {
  const nonsense = JSON.parse('{"table":"a.b.c","keepMs":-1,"tabel":"x"}');
  expect(() => inTransaction(JSON.parse("{}"), JSON.parse("7"), nonsense)).toThrow(
    /^inTransaction: pool: .*expected a pool of pg.*handler: .*table: .*expected the name of a table.*keepMs.*tabel: no such option; did you mean table\?/s,
  );
  const handle = inTransaction(pool, () => "done");
  await expect(lastValueFrom(handle(1, JSON.parse("{}")))).rejects.toThrow(
    "inTransaction: found what no consumer has handed out",
  );
});

function insertOrder(client: PoolClient, { n }: Order) {
  return insert(client, n);
}

async function* inTurn(steps: readonly (() => Promise<unknown>)[]) {
  for (const step of steps) yield await step();
}
