import { createHash } from "node:crypto";
import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { script } from "../../src/redis/script.ts";
import { type RedisServer, startRedis } from "../support/redisServer.ts";

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
