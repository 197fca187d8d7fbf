import { describe, expect, it } from "vitest";
import { type Run, rxadd } from "../kit/program/cli.ts";
import { rxaddHere } from "../kit/program/inProcess.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const stream = "orders.events";
const redis = emptyRedis([], "s3cr3t");

const env = () => ({ REDIS_URI: `redis://:s3cr3t@127.0.0.1:${redis.port}` });

function consume(...args: readonly string[]): Run {
  return rxadd(["consume", "--stream", stream, ...args], "", env());
}

/** Entries from 1-0 on. */
async function add(entries: number, key = stream): Promise<void> {
  const pipeline = redis.client.pipeline();
  for (let n = 1; n <= entries; n += 1) pipeline.xadd(key, `${n}-0`, "event", `{"n":${n}}`);
  await pipeline.exec();
}

function lines(run: Run): string[] {
  return run.stdout().trimEnd().split("\n");
}

async function stop(run: Run, signal: NodeJS.Signals = "SIGTERM"): Promise<unknown> {
  run.child.kill(signal);
  const code = await run.ended;
  expect(run.stdout() + run.stderr()).not.toContain("s3cr3t");
  return code;
}

describe("rxadd consume", () => {
  it("prints what is there and what comes, until it is stopped", async () => {
    await add(1);
    const run = consume("--from", "0-0");
    await run.says('"n":1');

    await redis.client.xadd(stream, "2-0", "event", '{"n":2}');
    await run.says('"n":2');

    expect(await stop(run, "SIGINT")).toBe(0);
    expect(run.stdout()).toBe('{"id":"1-0","event":{"n":1}}\n{"id":"2-0","event":{"n":2}}\n');
  });

  it("begins with what is new unless it is told where", async () => {
    await add(3);
    const run = consume();
    await run.says("reading");

    await redis.client.xadd(stream, "4-0", "event", '{"n":4}');
    await run.says('"n":4');

    expect(await stop(run)).toBe(0);
    expect(lines(run)).toEqual(['{"id":"4-0","event":{"n":4}}']);
  });

  it.each<[string, readonly string[], string]>([
    ["another field holds", ["--field", "data"], '{"n":1.0}'],
    [
      "stands in all fields, whatever that is",
      ["--all-fields"],
      '{"event":"OrderPlaced","data":"{\\"n\\":1.0}"}',
    ],
  ])("prints what %s", async (_what, flags, event) => {
    await redis.client.xadd(stream, "1-0", "event", "OrderPlaced", "data", '{"n":1.0}');
    const plain = consume("--from", "0-0", ...flags);
    const ofGroup = consume("--group", "g", ...flags);
    await Promise.all([plain.says("1-0"), ofGroup.says("1-0")]);

    expect(await stop(plain)).toBe(0);
    expect(await stop(ofGroup)).toBe(0);
    expect(lines(plain)).toEqual([`{"id":"1-0","event":${event}}`]);
    expect(lines(ofGroup)).toEqual(lines(plain));
  });

  it("reads one field, or all of them", async () => {
    const run = rxaddHere(["consume", "--stream", stream, "--field", "a", "--all-fields"], "", env());

    expect(await run.ended).toBe(2);
    expect(run.stderr()).toContain("found both --field and --all-fields, expected one of them");
  });

  it("prints the event's JSON as it stands, on one line, and all fields where there is no event", async () => {
    await redis.client.xadd(stream, "1-0", "event", '{"price": 12345678901234567890.10,\n "é":"✓"}');
    await redis.client.xadd(stream, "2-0", "user", "7", "action", "log in");
    const run = consume("--from", "0-0");
    await run.says("log in");

    expect(await stop(run)).toBe(0);
    expect(lines(run)).toEqual([
      '{"id":"1-0","event":{"price": 12345678901234567890.10,  "é":"✓"}}',
      '{"id":"2-0","event":{"user":"7","action":"log in"}}',
    ]);
  });

  it("prints which stream an entry is of where there are several", async () => {
    await add(1);
    await add(1, "returns.events");
    const run = consume("returns.events", "--from", "0-0");
    await run.says('{"stream":"returns.events","id":"1-0","event":{"n":1}}');
    await run.says('{"stream":"orders.events","id":"1-0","event":{"n":1}}');

    expect(await stop(run)).toBe(0);
  });

  it("acknowledges what it has printed for a group, and leaves nothing pending when it is stopped", async () => {
    await add(20_000);
    const run = consume("--group", "archive", "--consumer", "one");
    await run.says('"n":5000}');

    expect(await stop(run)).toBe(0);

    const printed = lines(run).map((line) => JSON.parse(line).event.n);
    expect(printed).toEqual(Array.from({ length: printed.length }, (_, index) => index + 1));
    const [[, name = "", , , , pending, , last] = []] = (await redis.client.xinfo("GROUPS", stream)) as [
      string[],
    ];
    expect([name, pending, last]).toEqual(["archive", 0, `${printed.length}-0`]);
  });

  it("goes on where the group is", async () => {
    await add(2);
    const first = consume("--group", "archive");
    await first.says('"n":2');
    await stop(first);
    await redis.client.xadd(stream, "3-0", "event", '{"n":3}');

    const second = consume("--group", "archive");
    await second.says('"n":3');

    expect(await stop(second)).toBe(0);
    expect(lines(second)).toEqual(['{"id":"3-0","event":{"n":3}}']);
  });

  it("sets aside what is no JSON, if it is told where", async () => {
    await redis.client.xadd(stream, "1-0", "event", "{");
    await redis.client.xadd(stream, "2-0", "event", '{"n":2}');
    const run = consume("--group", "archive", "--dead-letters", "orders.dead");
    await run.says('"n":2');
    await run.says("set 1-0 aside");

    expect(await stop(run)).toBe(0);
    expect(await redis.client.xlen("orders.dead")).toBe(1);
  });

  it("ends quietly when nobody reads what it prints any more, and hands back what was not taken", async () => {
    await add(20_000);
    const run = consume("--group", "archive", "--consumer", "one");
    await run.says('"n":1}');
    run.child.stdout?.destroy();

    expect(await run.ended).toBe(0);
    await waitUntil(async () => {
      const pending = await redis.client.xpending(stream, "archive", "IDLE", 60_000, "-", "+", 20_000);
      const [count] = await redis.client.xpending(stream, "archive");
      return pending.length === count;
    });
  });

  it.each([
    ["--consumer without a group", ["--consumer", "one"], /--consumer: found no --group/],
    ["--from with a group", ["--from", "0-0", "--group", "g"], /found both --from and --group/],
    ["no entry ID", ["--from", "yesterday"], /from: found yesterday, expected an entry ID/],
    [
      "dead letters into the stream that is read",
      ["--group", "g", "--dead-letters", stream],
      /deadLetters\.stream: found \S+, which is read itself, expected another stream/,
    ],
    ["no JSON, without dead letters", ["--from", "0-0"], /entry 1-0 cannot be decoded: event: found no JSON/],
  ])("ends with exit code 2 on %s, and says what is wrong", async (_case, args, message) => {
    await redis.client.xadd(stream, "1-0", "event", "{");
    const run = rxaddHere(["consume", "--stream", stream, ...args], "", env());

    expect(await run.ended).toBe(2);
    expect(run.stderr()).toMatch(message);
    expect(run.stderr()).not.toMatch(/ {4}at /);
  });

  it("ends with exit code 3 where the password is wrong", async () => {
    const run = rxaddHere(["consume", "--stream", stream], "", {
      REDIS_URI: `redis://:wrong@127.0.0.1:${redis.port}`,
    });

    expect(await run.ended).toBe(3);
    expect(run.stderr()).not.toContain("wrong@");
  });

  it("waits for a server that is away, and says so", async () => {
    const run = rxadd(["consume", "--stream", stream, "--uri", "redis://127.0.0.1:1"]);
    await run.says("attempt 1 failed, trying again");

    expect(await stop(run)).toBe(0);
  });
});
