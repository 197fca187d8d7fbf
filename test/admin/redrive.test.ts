import { Redis } from "ioredis";
import { firstValueFrom, lastValueFrom, Subject, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { type RedriveOptions, redrive } from "../../src/admin/index.ts";
import { acknowledge, groupDeliveries } from "../../src/consumer.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

const stream = "orders.events";
const dead = "orders.dead";
const redis = emptyRedis();

const redriven = (options: RedriveOptions = {}) =>
  lastValueFrom(redrive({ uri: redis.uri, stream: dead }, options).pipe(toArray()));

type Words = readonly (string | Buffer)[];
const contents = async (key: string) =>
  (await redis.client.xrangeBuffer(key, "-", "+")).map(([, words]) => words);
const bytes = (words: Words) => words.map((word) => Buffer.from(word));

/** Sets entries aside as a consumer does that handles nothing. */
async function setAside(entries: readonly Words[], group = "mailer"): Promise<void> {
  for (const words of entries) await redis.client.xadd(stream, "*", ...words);
  const until = new Subject<void>();
  let letters = 0;
  await lastValueFrom(
    groupDeliveries({
      uri: redis.uri,
      stream,
      group,
      blockMs: 100,
      until,
      deadLetters: { stream: dead },
      maxDeliveries: 1,
      status: {
        next: ({ state }) => {
          if (state === "deadLetter") letters += 1;
          if (letters === entries.length) until.next();
        },
      },
    }).pipe(
      acknowledge((event) => {
        throw new Error(`no ${JSON.stringify(event)}`);
      }),
    ),
    { defaultValue: undefined },
  );
}

/** A letter as a group writes it. */
const letter = (reason: string, ...entry: Words): Words => [
  ...entry,
  ...["error", "HandlerFailed", "reason", reason, "stream", stream, "entry", "1-0"],
  ...["group", "mailer", "consumer", "one", "deliveries", "5"],
];

async function addLetter(reason: string, ...entry: Words): Promise<string> {
  return (await redis.client.xadd(dead, "*", ...letter(reason, ...entry))) ?? "";
}

describe("redrive", () => {
  it("puts entries back as they were, byte for byte, once", async () => {
    const odd = [
      "error",
      "mine",
      "event",
      "5",
      "bytes",
      Buffer.from([0xff, 0x00, 0xc3]),
      "twice",
      "a",
      "twice",
      "b",
    ];
    await setAside([["event", "1"], odd, ["event", "no JSON"]]);
    await redis.client.del(stream);

    const results = await redriven();

    const newEntryId = expect.stringMatching(/^\d+-\d+$/);
    // What cannot be decoded is set aside when it is read.
    expect(results).toMatchObject([
      {
        stream,
        group: "mailer",
        state: "redriven",
        reason: expect.stringMatching(/^event: found no JSON/),
        newEntryId,
      },
      { state: "redriven", reason: "no 1" },
      { state: "redriven", reason: "no 5" },
    ]);
    expect(await contents(stream)).toEqual([bytes(["event", "no JSON"]), bytes(["event", "1"]), bytes(odd)]);
    expect(await contents(dead)).toEqual([]);
    expect(await redriven()).toEqual([]);
  });

  it("only tells which, with dryRun", async () => {
    await addLetter("x", "event", "1");

    expect(await redriven({ dryRun: true })).toMatchObject([
      { state: "found", newEntryId: undefined, entryId: "1-0", stream, reason: "x" },
    ]);
    expect(await contents(dead)).toHaveLength(1);
    expect(await redis.client.exists(stream)).toBe(0);
  });

  it("goes by reason, group, range and count, over many pages", async () => {
    const ids: string[] = [];
    for (let n = 0; n < 250; n += 1)
      ids.push(await addLetter(n % 2 === 0 ? "even ECONNREFUSED" : "odd", "event", `${n}`));
    const events = async () => (await contents(stream)).map(([, event]) => Number(event));

    expect(await redriven({ group: "nobody" })).toEqual([]);
    expect(await redriven({ reason: "ECONNREFUSED", minId: ids[100], maxId: ids[110] })).toHaveLength(6);
    expect(await redriven({ minId: ids[240] })).toHaveLength(10);
    expect(await redriven({ reason: "odd", count: 3 })).toHaveLength(3);
    expect(await events()).toEqual([
      100, 102, 104, 106, 108, 110, 240, 241, 242, 243, 244, 245, 246, 247, 248, 249, 1, 3, 5,
    ]);
    expect(await redriven({ count: 240 })).toHaveLength(231);
    expect(new Set(await events())).toEqual(new Set(Array.from({ length: 250 }, (_, n) => n)));
  });

  it("moves each once where several do it at a time", async () => {
    for (let n = 0; n < 120; n += 1) await addLetter("x", "event", `${n}`);

    const results = (await Promise.all([redriven(), redriven(), redriven()])).flat();

    expect(results.filter(({ state }) => state === "redriven")).toHaveLength(120);
    expect(new Set((await contents(stream)).map(String)).size).toBe(120);
    expect(await redis.client.xlen(stream)).toBe(120);
  });

  it("does not look at those that come meanwhile", async () => {
    for (let n = 0; n < 3; n += 1) await addLetter("x", "event", `${n}`);
    let seen = 0;
    await new Promise<void>((done, failed) => {
      redrive({ uri: redis.uri, stream: dead }).subscribe({
        next: () => {
          seen += 1;
          void addLetter("again", "event", "9");
        },
        complete: done,
        error: failed,
      });
    });

    expect(seen).toBe(3);
  });

  it("leaves alone what is no dead letter of a group, and what no script can write", async () => {
    await redis.client.xadd(dead, "*", "event", "1", "error", "EventTooLarge", "reason", "x", "sink", "s");
    await redis.client.xadd(dead, "*", ...letter("x"));
    await redis.client.xadd(dead, "*", ...letter("x", "event", "1"), "more", "1");
    await addLetter("large", "content", `*9000\r\n${"$1\r\nx\r\n".repeat(9000)}`);
    await addLetter("small", "content", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");

    expect(await redriven()).toMatchObject([
      { reason: "large", state: "tooLarge", newEntryId: undefined },
      { reason: "small", state: "redriven" },
    ]);
    expect(await contents(dead)).toHaveLength(4);
    expect(await contents(stream)).toEqual([bytes(["content", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"])]);
  });

  it("writes nothing where it may not delete, or its target is no stream", async () => {
    await addLetter("x", "event", "1");
    await redis.client.call("ACL", ["SETUSER", "careful", "on", ">pw", "~*", "+@all", "-xdel"]);
    const careful = redrive({ uri: redis.uri.replace("redis://", "redis://careful:pw@"), stream: dead });

    await expect(lastValueFrom(careful)).rejects.toThrow(/docs\/connections\.md/);
    expect(await redis.client.exists(stream)).toBe(0);
    await redis.client.set(stream, "text");
    await expect(redriven()).rejects.toThrow(/WRONGTYPE/);
    expect(await contents(dead)).toHaveLength(1);
  });

  it("completes where there are none, and says what is wrong with its options", async () => {
    expect(await redriven()).toEqual([]);
    await expect(redriven({ count: 0, minId: "x" })).rejects.toThrow(
      /redrive: minId: found x.*; count: found 0/,
    );
    const connection = new Redis(redis.uri, { keyPrefix: "p:" });
    await expect(firstValueFrom(redrive({ connection, stream: dead }))).rejects.toThrow(/keyPrefix/);
    connection.disconnect();
  });
});
