import { afterAll, beforeAll, beforeEach } from "vitest";
import { type RedisServer, startRedis } from "./redisServer.ts";

/** One server for all tests of a file, or of a `describe`, and empty before each of them. */
export function emptyRedis(...how: Parameters<typeof startRedis>): Omit<RedisServer, "stop"> {
  let server: RedisServer | undefined;

  function there(): RedisServer {
    if (server === undefined) throw new Error("the server starts before the first test: ask within one");
    return server;
  }

  beforeAll(async () => {
    server = await startRedis(...how);
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    await there().client.flushall();
  });

  return {
    get client() {
      return there().client;
    },
    get uri() {
      return there().uri;
    },
    get port() {
      return there().port;
    },
    pid: () => there().pid(),
    isRunning: () => there().isRunning(),
    signal: (signal) => there().signal(signal),
    start: () => there().start(),
  };
}
