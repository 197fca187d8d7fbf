import { afterAll, beforeAll, describe, it } from "vitest";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { happen } from "./consumers/happen.ts";
import { histories } from "./consumers/step.ts";
import { hold } from "./model.ts";

const promise = "handled, a dead letter or told as gone; each effect once; keys in order; nothing pending";

describe("many consumers", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  it(promise, { timeout: 1_200_000 }, async (context) => {
    await hold(context, {
      of: "consumers of a group that die, hang and are robbed, entries deleted",
      histories,
      times: { short: 60, long: 2500 },
      happen: async (history) => (await happen(server, history)).entries,
      promise,
    });
  });
});
