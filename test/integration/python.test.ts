import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { from, lastValueFrom } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import { type ChangeEvent, type Row, redisSink } from "../../src/index.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { type Run, runOf } from "../kit/program/cli.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";
import { codeBlocks } from "../repository/codeBlocks.ts";

const stream = "orders.events";
const group = "mygroup";
const runner = fileURLToPath(new URL("python/run.py", import.meta.url));
/** The Python that has its redis package; Debian's own has Debian's python3-redis. */
const python = ["/usr/bin/python3", "python3"].find(
  (program) => spawnSync(program, ["-c", "import redis"]).status === 0,
);

const redis = emptyRedis();

function changes(count: number): ChangeEvent<Row, number>[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `orders/${index + 1}`,
    op: "c",
    ts_ms: 1_700_000_000_000,
    source: { table: "orders" },
    before: null,
    after: { id: index + 1, item: "tea ☕" },
    position: index + 1,
  }));
}

function publish(events: readonly ChangeEvent<Row, number>[], id = "orders-redis"): Promise<unknown> {
  return lastValueFrom(from(events).pipe(redisSink({ id, uri: redis.uri, stream })));
}

function startPython(program: string, what: string): ChildProcess {
  return spawn(program, [runner, what], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, REDIS_URI: redis.uri, PYTHONIOENCODING: "utf8" },
  });
}

/** The IDs of the events that the consumer has processed so far. */
function processedBy({ stdout }: ChildProcess): () => string[] {
  let text = "";
  stdout?.setEncoding("utf8").on("data", (some: string) => {
    text += some;
  });
  return () =>
    text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line).id);
}

async function pending(): Promise<unknown> {
  const [count] = await redis.client.xpending(stream, group);
  return count;
}

/** Runs the page's line; the quotes keep a shell from taking `>` for itself. */
function redisCli(...args: readonly string[]): string {
  return execFileSync("redis-cli", ["-u", redis.uri, ...args], { encoding: "utf8" });
}

/** Every entry's fields and values, as a plain XREAD gives them. */
async function readPlainly(): Promise<string[][]> {
  const reply = await redis.client.xread("STREAMS", stream, "0-0");
  return (reply ?? []).flatMap(([, entries]) => entries.map(([, fields]) => fields));
}

describe.skipIf(python === undefined)("consumers in Python", () => {
  const program = python ?? "";

  it("take all that redisSink publishes, before and after they start, and acknowledge it", async () => {
    const events = changes(60);
    await publish(events.slice(0, 25));

    const consumer = startPython(program, "groupConsumer.py");
    const processed = processedBy(consumer);
    await waitUntil(() => processed().length === 25);
    await publish(events);
    await waitUntil(async () => processed().length >= 60 && (await pending()) === 0);
    const ended = once(consumer, "close");
    consumer.kill();
    await ended;

    expect(processed()).toEqual(events.map(({ id }) => id));
    expect(await redis.client.xpending(stream, group)).toEqual([0, null, null, null]);
  });

  it("skip by its id what another sink has published a second time, and acknowledge it", async () => {
    const events = changes(20);
    await publish(events);
    await publish(events.slice(5), "orders-redis-again");
    expect(await redis.client.xlen(stream)).toBe(35);

    const consumer = startPython(program, "idempotentConsumer.py");
    const processed = processedBy(consumer);
    expect(await once(consumer, "close")).toEqual([0, null]);

    expect(processed()).toEqual(events.map(({ id }) => id));
    expect(await pending()).toBe(0);
  });
});

describe.skipIf(python === undefined)("the consumer in Python of docs/consuming.md", () => {
  const [page] = codeBlocks("docs/consuming.md").filter(({ language }) => language === "python");
  const idsOf = (text: string) => text.trim().split("\n");
  const left = async () => (await redis.client.xpending(stream, "search"))[0];

  function startPage(uri: string): Run {
    const run = runOf(
      spawn(python ?? "", ["-c", page?.code ?? ""], { env: { ...process.env, REDIS_URI: uri } }),
    );
    onTestFinished(() => void run.child.kill("SIGKILL"));
    return run;
  }

  it("first does what a dead consumer left, then what is new, and acknowledges it, across a lost connection", async () => {
    const events = changes(60);
    await publish(events.slice(0, 40));
    await redis.client.xgroup("CREATE", stream, "search", "0");
    await redis.client.xreadgroup("GROUP", "search", "dead", "COUNT", 7, "STREAMS", stream, ">");
    const had = await redis.client.xrange(stream, "-", "+", "COUNT", 7);
    const ids = had.map(([entryId]) => entryId);
    await redis.client.call("XCLAIM", stream, "search", "dead", 0, ...ids, "IDLE", 60_000, "JUSTID");
    const proxy = await startProxy(redis.port);
    onTestFinished(() => proxy.stop());

    const run = startPage(proxy.uri);
    await run.says("orders/40\n");
    await waitUntil(async () => (await left()) === 0);
    proxy.reset();
    await run.says("WARNING");
    await publish(events);
    await run.says("orders/60\n");
    await waitUntil(async () => (await left()) === 0);

    expect(idsOf(run.stdout())).toEqual(events.map(({ id }) => id));
  });

  it("leaves pending what fails, and goes on", async () => {
    await redis.client.xadd(stream, "*", "event", "no JSON");
    await publish(changes(2));

    const run = startPage(redis.uri);
    await run.says("orders/2\n");
    await waitUntil(async () => (await left()) === 1);

    expect(run.stderr()).toContain("comes again");
    expect(idsOf(run.stdout())).toEqual(["orders/1", "orders/2"]);
  });
});

describe.skipIf(python === undefined)("a producer in Python", () => {
  it("adds entries that look like those of redisSink, before and after it", async () => {
    const [first, second, third] = changes(3);
    const expected = [first, second, third].map((event) => ["event", JSON.stringify(event)]);
    const add = async (event: unknown) => {
      const producer = startPython(python ?? "", "add");
      producer.stdin?.end(`${JSON.stringify(event)}\n`);
      expect(await once(producer, "close")).toEqual([0, null]);
    };

    await add(first);
    await publish(second === undefined ? [] : [second]);
    await add(third);

    expect(await readPlainly()).toEqual(expected);
  });
});

describe("redis-cli", () => {
  it("adds entries that look like those of redisSink", async () => {
    const [first, second] = changes(2);

    redisCli("XADD", stream, "*", "event", JSON.stringify(first));
    await publish(second === undefined ? [] : [second]);

    expect(await readPlainly()).toEqual([first, second].map((event) => ["event", JSON.stringify(event)]));
  });

  it("reads, acknowledges and looks after what redisSink publishes", async () => {
    redisCli("XGROUP", "CREATE", stream, group, "$", "MKSTREAM");
    await publish(changes(12));

    const read = redisCli(
      "XREADGROUP",
      "GROUP",
      group,
      "consumer1",
      "BLOCK",
      "5000",
      "COUNT",
      "10",
      "STREAMS",
      stream,
      ">",
    );
    expect(read.match(/"id":"orders\/\d+"/g)).toHaveLength(10);
    const [first = "", second = ""] = read.match(/\d{13}-\d+/g) ?? [];
    expect(redisCli("XACK", stream, group, first)).toBe("1\n");
    expect(redisCli("XPENDING", stream, group)).toMatch(/^9\n/);
    expect(redisCli("XREAD", "COUNT", "10", "STREAMS", stream, "0-0").match(/^event$/gm)).toHaveLength(10);
    expect(redisCli("XLEN", stream)).toBe("12\n");
    expect(redisCli("XINFO", "GROUPS", stream)).toContain("consumers\n1\n");
    expect(redisCli("XCLAIM", stream, group, "worker2", "0", second)).toContain('"id":"orders/2"');
    expect(redisCli("XTRIM", stream, "MAXLEN", "~", "10000")).toBe("0\n");
    expect(redisCli("XTRIM", stream, "MAXLEN", "11")).toBe("1\n");
    expect(redisCli("XDEL", stream, second)).toBe("1\n");
  });
});
