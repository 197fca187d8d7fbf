import type { SinkOptions } from "../../../src/index.ts";
import type { Numbered } from "../../kit/load/pacedNumbers.ts";
import { type RedisServer, startRedis } from "../../kit/servers/redisServer.ts";
import type { Bed } from "./fault.ts";

/** A bed of a single server. */
export interface OneServer extends Bed {
  readonly server: RedisServer;
}

/** Starts a bed of a single server. */
export async function oneServer(
  args: readonly string[] = [],
  settings: Partial<SinkOptions<Numbered, number>> = {},
): Promise<OneServer> {
  const server = await startRedis(args);
  return {
    server,
    settings: { uri: server.uri, ...settings },
    reader: () => server.client,
    stop: server.stop,
  };
}

/** What has been acknowledged survives a kill. */
export const durable = ["--appendonly", "yes", "--appendfsync", "always"];
