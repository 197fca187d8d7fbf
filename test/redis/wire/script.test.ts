import { createHash } from "node:crypto";
import fc from "fast-check";
import { Command, Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BulkWriter } from "../../../src/redis/wire/bulk.ts";
import { encode } from "../../../src/redis/wire/encode.ts";
import { script } from "../../../src/redis/wire/script.ts";
import { type RedisServer, startRedis } from "../../kit/servers/redisServer.ts";

const echo = "return {#KEYS, #ARGV, unpack(ARGV)}";

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

const texts = fc.string({ unit: "grapheme" });
const buffers = fc.uint8Array().map((bytes) => Buffer.from(bytes));

describe("script", () => {
  it("hands over texts and buffers byte by byte", async () => {
    const call = script(redis.client, "return redis.sha1hex(table.concat(ARGV, '|'))");
    const bytesOf = (argument: string | Buffer) =>
      typeof argument === "string" ? Buffer.from(argument) : argument;
    const property = fc.asyncProperty(fc.array(fc.oneof(texts, buffers)), async (args) => {
      const all = args.flatMap((argument) => [Buffer.from("|"), bytesOf(argument)]).slice(1);
      expect(await call([], args)).toBe(createHash("sha1").update(Buffer.concat(all)).digest("hex"));
    });
    await fc.assert(property, { numRuns: 200 });
  });

  it("tells keys from arguments", async () => {
    expect(await script(redis.client, echo)(["a", "b"], ["1", "2", "3"])).toEqual([2, 3, "1", "2", "3"]);
  });

  it("sends its text once to a connection, then its hash", async () => {
    const call = script(redis.client, `${echo} -- once`);
    await redis.client.config("RESETSTAT");

    for (let calls = 0; calls < 3; calls += 1) await call([], []);

    const stats = await redis.client.info("commandstats");
    expect(stats).toContain("cmdstat_eval:calls=1,");
    expect(stats).toContain("cmdstat_evalsha:calls=2,");
  });

  it("sends its text again when the server has lost it", async () => {
    const call = script(redis.client, echo);
    await call([], []);
    await redis.client.script("FLUSH");

    const replies = await Promise.all([call([], ["1"]), call([], ["2"])]);

    expect(replies).toEqual([
      [0, 1, "1"],
      [0, 1, "2"],
    ]);
  });

  it("is the same however often it is written, whatever becomes of its arguments' memory", async () => {
    const sent: Command[] = [];
    const call = script(
      { options: {}, sendCommand: (command: Command) => sent.push(command) } as never,
      echo,
    );
    const writer = new BulkWriter();
    const args = [
      "a",
      writer.write(["é", Buffer.from([13, 10])]),
      Buffer.from("b"),
      writer.writeOne("c"),
      "d",
    ];
    const [text, hash] = [
      ["EVAL", echo],
      ["EVALSHA", createHash("sha1").update(echo).digest("hex")],
    ].map((start) => encode([...start, "1", "key", ...args]).toString("latin1"));
    await call(["key"], args);
    const socket = {};
    const write = (to: object) => String(sent[0]?.toWritable(to as never).toString("latin1"));
    expect(write(socket)).toBe(text);
    writer.rest();
    writer.write(["what", "comes", "later"]);

    expect(write(socket)).toBe(hash);
    expect(write({})).toBe(text);
    expect(write(socket)).toBe(hash);
  });

  it("writes over no command that has yet to be read, however large those after it are", async () => {
    const call = script(redis.client, "return redis.sha1hex(table.concat(ARGV))");
    const lengths = fc.constantFrom(10, 60_000, 70_000, 200_000, 262_000, 263_000);
    const property = fc.asyncProperty(fc.array(lengths, { maxLength: 30 }), async (lengths) => {
      const values = lengths.map((length, index) => `${index % 10}`.repeat(length));
      const replies = values.map(async (value, index) => {
        if (index % 7 === 3) await redis.client.script("FLUSH");
        return call([], [value]);
      });

      expect(await Promise.all(replies)).toEqual(
        values.map((value) => createHash("sha1").update(value).digest("hex")),
      );
    });
    await fc.assert(property, { numRuns: 30 });
  });

  it("writes over no command that was written twice", async () => {
    const sent: { readonly command: Command; readonly answer: (reply: unknown) => void }[] = [];
    const sendCommand = (command: Command) => new Promise((answer) => sent.push({ command, answer }));
    const call = script({ options: {}, sendCommand } as never, echo);
    const write = (index: number) => sent[index]?.command.toWritable({} as never) as Buffer;
    const value = "x".repeat(100_000);

    const first = call([], [value]);
    const written = [write(0), write(0)];
    const before = written.map(String);
    sent[0]?.answer("done");
    expect(await first).toBe("done");
    for (const index of [1, 2, 3]) {
      void call([], ["y".repeat(100_000)]);
      write(index);
    }

    expect(written.map(String)).toEqual(before);
  });

  it("fails with the script's own error", async () => {
    const call = script(redis.client, "return redis.error_reply('MINE is it')");

    await expect(call([], [])).rejects.toThrow("MINE is it");
  });

  it("heeds the key prefix of the caller's connection", async () => {
    const prefixed = new Redis(redis.uri, { keyPrefix: "shop:" });

    expect(await script(prefixed, "return KEYS")(["a", "b"], [])).toEqual(["shop:a", "shop:b"]);
    await prefixed.quit();
  });
});

// `script` encodes its calls itself. What it rests on is not in ioredis' documentation: if one of these fails, ioredis has
// changed, and `script` has to as well, whatever else is green.
describe("a Command of ioredis", () => {
  class Probe extends Command {
    readonly sockets: object[] = [];

    override toWritable(socket: object): string | Buffer {
      this.sockets.push(socket);
      return super.toWritable(socket);
    }
  }

  it("is asked once for its bytes, when it is written, with the socket that they go to", async () => {
    await redis.client.ping();
    const probe = new Probe("echo", ["é"], { replyEncoding: "utf8" });
    expect(probe.sockets).toEqual([]);

    expect(await redis.client.sendCommand(probe)).toBe("é");

    expect(probe.sockets).toEqual([redis.client.stream]);
  });

  it("is asked again when it is written to another connection", async () => {
    const own = new Redis(redis.uri, { lazyConnect: true });
    const probe = new Probe("ping", [], { replyEncoding: "utf8" });

    expect(await own.sendCommand(probe)).toBe("PONG");

    expect(probe.sockets).toEqual([own.stream]);
    own.disconnect();
  });

  it("puts the prefix before the keys of EVALSHA that it counts, and leaves all else as it is", () => {
    const { args } = new Command("evalsha", ["hash", "2", "a", "b", "c"], { keyPrefix: "shop:" });

    expect(args).toEqual(["hash", "2", "shop:a", "shop:b", "c"]);
  });

  it("finds the slot of a Cluster by the first key", () => {
    expect(new Command("evalsha", ["hash", "2", "{a}1", "{a}2"]).getKeys()).toEqual(["{a}1", "{a}2"]);
  });
});
