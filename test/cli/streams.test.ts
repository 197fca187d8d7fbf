import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { rxadd } from "../kit/program/cli.ts";
import { rxaddHere } from "../kit/program/inProcess.ts";
import { freePort, type RedisServer, startRedis } from "../kit/servers/redisServer.ts";

const stream = "orders.events";
let redis: RedisServer;
let folder: string;
beforeAll(async () => {
  redis = await startRedis([], "s3cr3t");
  folder = mkdtempSync(join(tmpdir(), "rxadd-streams-"));
});
afterAll(async () => {
  await redis.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  await redis.client.flushall();
});

function uri(password = "s3cr3t", port = redis.port): string {
  return `redis://:${password}@127.0.0.1:${port}`;
}

interface Outcome {
  readonly code: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `rxadd streams …` to its end, with the server in the environment. */
async function streams(
  args: readonly string[],
  env: NodeJS.ProcessEnv = { REDIS_URI: uri() },
  how: typeof rxaddHere = rxaddHere,
): Promise<Outcome> {
  const run = how(["streams", ...args], "", env);
  const code = await run.ended;
  expect(run.stdout() + run.stderr()).not.toContain("s3cr3t");
  return { code, stdout: run.stdout(), stderr: run.stderr() };
}

function ofStream(verb: string, ...args: readonly string[]): Promise<Outcome> {
  return streams([verb, "--stream", stream, ...args]);
}

function jsonLines(text: string): unknown[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

/** Entries 1-0, 2-0 and so on, of which a worker of the group `mail` has the first ones. */
async function fill(entries: number, delivered: number): Promise<void> {
  await redis.client.xgroup("CREATE", stream, "mail", "0", "MKSTREAM");
  for (let n = 1; n <= entries; n += 1) await redis.client.xadd(stream, `${n}-0`, "event", "{}");
  if (delivered > 0)
    await redis.client.xreadgroup("GROUP", "mail", "worker1", "COUNT", delivered, "STREAMS", stream, ">");
}

describe("rxadd streams", () => {
  it("prints the length as a table, or as a JSON line", async () => {
    await fill(3, 0);

    expect(await streams(["length", "--stream", stream], undefined, rxadd)).toEqual({
      code: 0,
      stdout: "STREAM         ENTRIES\norders.events        3\n",
      stderr: "",
    });
    expect(jsonLines((await ofStream("length", "--json")).stdout)).toEqual([{ stream, length: 3 }]);
  });

  it("prints what the stream holds, and null for what is not there", async () => {
    await redis.client.xgroup("CREATE", stream, "mail", "0", "MKSTREAM");

    expect(jsonLines((await ofStream("info", "--json")).stdout)).toEqual([
      {
        stream,
        length: 0,
        groups: 1,
        firstEntryId: null,
        lastEntryId: null,
        lastGeneratedId: "0-0",
        entriesAdded: 0,
      },
    ]);
  });

  it("prints a line for each group", async () => {
    await fill(3, 2);
    await redis.client.xgroup("CREATE", stream, "audit", "0");

    const { stdout } = await ofStream("groups");

    expect(stdout).toBe(
      [
        "GROUP  CONSUMERS  PENDING  LAG  LAST DELIVERED",
        "audit          0        0    3  0-0",
        "mail           1        2    1  2-0",
        "",
      ].join("\n"),
    );
  });

  it("escapes what would move the cursor", async () => {
    await fill(1, 0);
    await redis.client.xgroup("CREATE", stream, "\u001b[2Jevil\n", "0");

    expect((await ofStream("groups")).stdout).toContain("\\u001b[2Jevil\\u000a");
  });

  it("prints what is pending for each group, or entry by entry", async () => {
    await fill(3, 2);
    await redis.client.xgroup("CREATE", stream, "audit", "0");

    expect((await ofStream("pending")).stdout).toBe(
      [
        "GROUP  PENDING  FIRST ENTRY  LAST ENTRY  CONSUMERS",
        "audit        0  -            -           -",
        "mail         2  1-0          2-0         worker1: 2",
        "",
      ].join("\n"),
    );
    const details = await ofStream("pending", "--group", "mail", "--count", "1", "--json");
    expect(jsonLines(details.stdout)).toEqual([
      { entryId: "1-0", consumer: "worker1", idleMs: expect.any(Number), deliveries: 1 },
    ]);
    expect(details.stderr).toContain("there are more than 1; --count shows more");
  });

  it("claims what is stuck, and what is named", async () => {
    await fill(3, 3);
    await redis.client.xclaim(stream, "mail", "worker1", 0, "1-0", "2-0", "IDLE", 90_000);
    const to = ["--group", "mail", "--consumer", "worker2"];

    const stuck = await ofStream("claim", ...to, "--idle", "60000", "--json");
    const named = await ofStream("claim", ...to, "--idle", "0", "3-0");

    expect(jsonLines(stuck.stdout)).toEqual([
      { entryId: "1-0", consumer: "worker2", state: "claimed" },
      { entryId: "2-0", consumer: "worker2", state: "claimed" },
    ]);
    expect(named.stdout).toBe("ENTRY  CONSUMER  STATE\n3-0    worker2   claimed\n");
    expect(named.stderr).toContain("worker2 of mail has 1 entry more to handle");
  });

  it("trims to a length and to an ID, and says how many went", async () => {
    await fill(10, 0);

    expect((await ofStream("trim", "--max-length", "8")).stdout).toBe(
      "orders.events: removed 2 entries, 8 left\n",
    );
    expect(jsonLines((await ofStream("trim", "--min-id", "6-0", "--json")).stdout)).toEqual([
      { stream, removed: 3, length: 5 },
    ]);
    expect((await ofStream("trim", "--max-length", "1", "--approximate")).stdout).toContain(
      "removed 0 entries",
    );
  });

  it("trims what every group has acknowledged, and says who holds the rest", async () => {
    await fill(5, 3);
    await redis.client.xack(stream, "mail", "1-0", "3-0");

    expect((await ofStream("trim", "--acknowledged")).stdout).toBe(
      "orders.events: removed 1 entry, 4 left; mail has not acknowledged or not read 2-0 and what follows\n",
    );
    await redis.client.xgroup("DESTROY", stream, "mail");
    expect((await ofStream("trim", "--acknowledged")).stdout).toBe(
      "orders.events: no group reads this stream, so nothing was removed, 4 left\n",
    );
  });

  it("deletes what is named, and says how many that were", async () => {
    await fill(3, 0);

    expect((await ofStream("delete", "1-0", "9-0")).stdout).toBe(
      "orders.events: deleted 1 entry; 1 entry named was not there\n",
    );
    expect(jsonLines((await ofStream("delete", "2-0", "--json")).stdout)).toEqual([
      { stream, deleted: 1, missing: 0 },
    ]);
    expect(await redis.client.xlen(stream)).toBe(1);
  });

  it("takes the server and the stream from a configuration file, or another stream", async () => {
    await fill(2, 0);
    const config = join(folder, "sinks.yaml");
    const sink = (key: string) =>
      `sinks:\n  - type: redis\n    config:\n      id: a\n      uri: \${SHOP_URI}\n      stream: ${key}\n`;
    const env = { SHOP_URI: uri() };

    writeFileSync(config, sink(stream));
    expect((await streams(["length", "--config", config, "--json"], env)).stdout).toContain('"length":2');
    writeFileSync(config, sink("cdc.${source.table}"));
    const template = await streams(["length", "--config", config], env);
    expect(template).toMatchObject({ code: 2, stderr: expect.stringContaining("expected a stream key") });
    const named = await streams(["length", "--config", config, "--stream", stream, "--json"], env);
    expect(named.stdout).toContain('"length":2');
  });

  it("puts dead letters back, and says how many", async () => {
    const letter = (reason: string) => [
      ...["event", "1", "error", "HandlerFailed", "reason", reason, "stream", stream, "entry", "1-0"],
      ...["group", "mail", "consumer", "one", "deliveries", "5"],
    ];
    await redis.client.xadd("dead", "1-0", ...letter("the net"));
    await redis.client.xadd("dead", "2-0", ...letter("the disk"));
    const redrive = (...args: readonly string[]) => streams(["redrive", "--stream", "dead", ...args]);

    expect(await redrive("--dry-run", "--json", "--reason", "net")).toMatchObject({
      code: 0,
      stdout: `{"letterId":"1-0","stream":"${stream}","entryId":"1-0","group":"mail","reason":"the net","state":"found","newEntryId":null}\n`,
      stderr: expect.stringContaining("dead: would redrive 1"),
    });
    const done = await redrive("--min-id", "1-0", "--max-id", "5-0", "--count", "9", "--group", "mail");
    expect(done.stdout).toMatch(
      /^DEAD LETTER {2}STREAM .*\n1-0 .* redriven +the net\n2-0 .* redriven +the disk\n$/,
    );
    expect(done.stderr).toContain("dead: redriven 2");
    expect((await redrive()).stderr).toContain("dead: found no such dead letters");
    expect([await redis.client.xlen(stream), await redis.client.xlen("dead")]).toEqual([2, 0]);
  });

  it("makes, moves and destroys groups, and takes out consumers", async () => {
    await fill(2, 0);
    const ofGroup = (verb: string, ...args: readonly string[]) =>
      streams(["group", verb, "--stream", stream, "--group", "search", ...args]);

    expect((await ofGroup("create", "--start", "2026-01-31T12:00Z")).stdout).toBe(
      `${stream}: search is there\n`,
    );
    expect((await ofGroup("create")).stdout).toContain("search was there before, and stays as it is");
    expect((await ofGroup("set", "--to", "1-0", "--json")).stdout).toBe(
      `{"stream":"${stream}","group":"search","after":"1-0"}\n`,
    );
    await redis.client.xreadgroup("GROUP", "search", "one", "STREAMS", stream, ">");
    expect((await ofGroup("remove-consumer", "--consumer", "one")).stdout).toContain("one stays in search");
    await redis.client.xack(stream, "search", "2-0");
    expect((await ofGroup("remove-consumer", "--consumer", "one", "--json")).stdout).toContain('"removed":1');
    expect((await ofGroup("destroy")).stdout).toContain("search is destroyed");
    expect((await ofGroup("destroy")).stdout).toContain("there was no group search");
  });

  it.each([
    ["no stream", ["length"], "--stream: found nothing"],
    [
      "two limits",
      ["trim", "--stream", "s", "--max-length", "1", "--acknowledged"],
      "found 2 of --max-length",
    ],
    ["no limit", ["trim", "--stream", "s"], "found 0 of --max-length"],
    ["no number", ["trim", "--stream", "s", "--max-length", "1e3"], "expected a whole number from 0 on"],
    ["no entry ID", ["delete", "--stream", "s", "x"], "found x, expected an entry ID"],
    ["details without a group", ["pending", "--stream", "s", "--details"], "--group: found nothing"],
    ["a claim without a group", ["claim", "--stream", "s"], "--group <name>' not specified"],
    [
      "no place",
      ["group", "set", "--stream", "s", "--group", "g", "--to", "soon"],
      "to: found soon, expected an entry ID",
    ],
    [
      "no time",
      ["group", "create", "--stream", "s", "--group", "g", "--start", "2026-99-99"],
      "start: found 2026-99-99, expected",
    ],
    ["no group", ["group", "destroy", "--stream", "s"], "--group <name>' not specified"],
    ["an unknown verb", ["shrink"], "unknown command 'shrink'"],
    [
      "another scheme",
      ["length", "--stream", "s", "--uri", "http://u:s3cr3t@h"],
      "expected a URI that starts",
    ],
    [
      "a variable that is not set",
      ["length", "--stream", "s", "--uri", "${NO_SUCH_URI}"],
      "NO_SUCH_URI is not set",
    ],
    ["two places", ["length", "--config", "a.yaml", "--uri", "redis://h"], "found both --config and --uri"],
  ])("ends with exit code 2 on %s, and says what was found and expected", async (_what, args, message) => {
    const { code, stdout, stderr } = await streams(args);

    expect(stderr).toContain(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  it.each([
    ["there is no such stream", () => ofStream("groups"), "no such key"],
    ["there is no such group", () => ofStream("pending", "--group", "mail"), "NOGROUP"],
    [
      "the password is wrong",
      () => streams(["length", "--stream", "s"], { REDIS_URI: uri("not-s3cr3t") }),
      "check user and password",
    ],
    [
      "nobody listens",
      async () => streams(["length", "--stream", "s"], { REDIS_URI: uri("s3cr3t", await freePort()) }),
      "ECONNREFUSED",
    ],
  ])("ends with exit code 3 where %s, and says why", async (_what, run, message) => {
    const { code, stderr } = await run();

    expect(stderr).toContain(message);
    expect(code).toBe(3);
  });
});
