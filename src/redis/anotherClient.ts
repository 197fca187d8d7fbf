import { Cluster, type Redis } from "ioredis";
import { type ClientOptions, openClient } from "./client.ts";

/** How a sink or a consumer reaches Redis. */
export type Server =
  /**
   * `redis://`, `redis-sentinel://` or `redis-cluster://`, and with TLS `rediss://` and so on; a
   * connection of one's own is opened, and closed at the end.
   */
  | { readonly uri: string }
  /** The caller's own connection, which is never closed. */
  | { readonly connection: Redis | Cluster };

/** Opens a client of our own; where there is the caller's it is like that but for what has to differ. */
export function anotherClient(
  server: Server,
  options: Omit<ClientOptions, "uri">,
  sendTimeoutMs = options.sendTimeoutMs,
): Redis | Cluster {
  if ("uri" in server) return openClient({ ...options, uri: server.uri, sendTimeoutMs });
  const { connection } = server;
  const settings = { maxRetriesPerRequest: 0, socketTimeout: sendTimeoutMs };
  return connection instanceof Cluster
    ? connection.duplicate([], { redisOptions: settings })
    : connection.duplicate(settings);
}
