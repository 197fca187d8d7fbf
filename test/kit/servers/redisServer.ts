import type { ConnectionOptions } from "node:tls";
import { Redis, type RedisOptions } from "ioredis";
import { type ServerProcess, startServerProcess } from "./serverProcess.ts";

export { freePort } from "./freePort.ts";

/** A real server on a free port of loopback, in a folder of its own. */
export interface RedisServer extends ServerProcess {
  readonly uri: string;
  /** A client of the test's own, quit by `stop`. */
  readonly client: Redis;
}

/** Settings, such as `["--appendonly", "yes"]`; a function is asked again for each port that is tried. */
export type RedisArgs = readonly string[] | (() => Promise<readonly string[]>);

/** What a client has to know of its server. */
export type ClientOptions = Pick<RedisOptions, "password" | "enableReadyCheck" | "tls">;

/** A client of the test's own: it waits for its server as long as that takes, and is back soon. */
export function openClient(port: number, options: ClientOptions = {}): Redis {
  const client = new Redis(port, "127.0.0.1", {
    retryStrategy: () => 50,
    maxRetriesPerRequest: null,
    ...options,
  });
  client.on("error", () => {
    // A test that stops the server knows why its own client complains.
  });
  return client;
}

/** Makes a server speak nothing but TLS: its settings, and how the test's own client speaks to it. */
export interface ServerTls {
  readonly args: readonly string[];
  readonly client: ConnectionOptions;
}

/** Starts a Redis without persistence; `args` adds settings. */
export async function startRedis(args: RedisArgs = [], password = "", tls?: ServerTls): Promise<RedisServer> {
  const server = await startServerProcess({
    args: async (port, folder) => [
      ...(tls === undefined ? ["--port", `${port}`] : ["--port", "0", "--tls-port", `${port}`, ...tls.args]),
      ...["--bind", "127.0.0.1", "--dir", folder],
      ...["--save", "", "--requirepass", password],
      ...(typeof args === "function" ? await args() : args),
    ],
    ready: "Ready to accept connections",
  });
  const client = openClient(server.port, { password, ...(tls && { tls: tls.client }) });
  return {
    ...server,
    uri: `${tls === undefined ? "redis" : "rediss"}://127.0.0.1:${server.port}`,
    client,
    stop: async () => {
      client.disconnect();
      await server.stop();
    },
  };
}
