import { type ChangeEvent, type Row, redisSink } from "rxadd";
import { from, lastValueFrom, Subject, take, toArray } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import { jobQueue } from "../../examples/jobQueue/jobQueue.ts";
import { tablesOf } from "../../src/redis/wire/entryReplies.ts";
import { readEvents } from "../kit/load/tally.ts";
import { program, type Run } from "../kit/program/cli.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

const redis = emptyRedis();

/** Orders 1 to `count`, as the table of orders would publish them. */
async function order(count: number): Promise<void> {
  const changes = Array.from({ length: count }, (_, index): ChangeEvent<Row, number> => {
    const id = index + 1;
    const origin = { op: "c", ts_ms: 0, source: { table: "orders" } } as const;
    return { ...origin, id: `${id}`, before: null, after: { id, item: "tea" }, position: id };
  });
  const sink = redisSink<ChangeEvent<Row, number>>({ id: "orders", uri: redis.uri, stream: "orders.events" });
  await lastValueFrom(from(changes).pipe(sink));
}

/** A worker in a process of its own, which ends with the test. */
function worker(): Run {
  const run = program(["--import", "tsx", "examples/jobQueue/jobQueue.ts"], "", { REDIS_URI: redis.uri });
  onTestFinished(() => void run.child.kill("SIGKILL"));
  return run;
}

/** The orders that a worker has mailed. */
function mailedBy(run: Run): number[] {
  return [...run.stdout().matchAll(/^order (\d+) is mailed$/gm)].map(([, id]) => Number(id));
}

const pending = async () => Number((await redis.client.xpending("orders.events", "workers"))[0]);

/** How many jobs have been read and are no longer pending. */
async function acknowledged(): Promise<number> {
  const [group] = tablesOf(await redis.client.xinfo("GROUPS", "orders.events"));
  return Number(group?.get("entries-read")) - Number(group?.get("pending"));
}

describe("job queue", () => {
  it("loses no job of a worker that is killed", async () => {
    await order(20);
    const killed = worker();
    await killed.says("is mailed");
    killed.child.kill("SIGKILL");
    await killed.ended;
    const left = 20 - (await acknowledged());
    expect(left).toBeGreaterThan(0);

    const until = new Subject<void>();
    const others$ = jobQueue({ uri: redis.uri, work: async () => {}, until, claimIdleMs: 100 });
    const done = lastValueFrom(others$.pipe(toArray()));
    await expect.poll(acknowledged).toBe(20);
    until.next();

    expect(await done).toHaveLength(left);
  });

  it("shares the jobs between workers, also when one of them is slow", async () => {
    const slow: number[] = [];
    const other = worker();
    const begun = new Subject<void>();
    const until = new Subject<void>();
    const working = lastValueFrom(
      jobQueue({
        uri: redis.uri,
        work: async ({ id }) => {
          slow.push(id);
          begun.next();
          await other.says("order 20 is mailed");
        },
        until,
      }).pipe(toArray()),
    );
    const hasBegun = lastValueFrom(begun.pipe(take(4)));

    await order(20);
    await hasBegun;
    await other.says("order 20 is mailed");
    until.next();

    const done = (await working).map(({ id }) => id);
    expect(done).toEqual(slow);
    expect(done.length).toBeLessThanOrEqual(8);
  });

  it("sets aside a job that fails again and again, and does the others", async () => {
    await order(3);
    const work = async ({ id }: { readonly id: number }) => {
      if (id === 2) throw new Error("no such address");
    };
    const until = new Subject<void>();
    const done = lastValueFrom(jobQueue({ uri: redis.uri, work, until }).pipe(toArray()));
    const reader = redis.client.duplicate();
    onTestFinished(() => reader.disconnect());

    await reader.xread("BLOCK", 0, "STREAMS", "orders.dead", "0");
    until.next();

    expect((await done).map(({ id }) => id)).toEqual([1, 3]);
    const [dead = ""] = await readEvents(redis.client, "orders.dead");
    expect(JSON.parse(dead)).toMatchObject({ after: { id: 2 } });
  });

  it("finishes the jobs that it has begun when it is told to stop", async () => {
    await order(20);
    const run = worker();
    await run.says("mailing order 1:");

    run.child.kill("SIGINT");

    expect(await run.ended).toBe(0);
    const begun = [...run.stdout().matchAll(/^mailing order (\d+):/gm)].map(([, id]) => Number(id));
    expect(mailedBy(run).sort((a, b) => a - b)).toEqual(begun.sort((a, b) => a - b));
    expect(await pending()).toBe(0);
  });
});
