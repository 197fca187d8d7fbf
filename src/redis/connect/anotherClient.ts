import type { Cluster, Redis } from "ioredis";
import { type ClientOptions, openClient } from "./client.ts";
import { clientOf, type RedisConnection } from "./ownConnection.ts";
import { isCluster } from "./topology.ts";

/** How a sink or a consumer reaches Redis. */
export type RedisServer =
  /** The caller's own connection, which is never closed. */
  | { readonly connection: RedisConnection }
  /**
   * `redis://`, `redis-sentinel://` or `redis-cluster://`, and with TLS `rediss://` and so on; a
   * connection of one's own is opened, and closed at the end.
   */
  | { readonly uri: string };

/** Opens a client of our own; where there is the caller's it is like that but for what has to differ. */
export function anotherClient(
  server: RedisServer,
  options: Omit<ClientOptions, "uri">,
  sendTimeoutMs = options.sendTimeoutMs,
): Redis | Cluster {
  if ("uri" in server) return openClient({ ...options, uri: server.uri, sendTimeoutMs });
  const connection = clientOf(server);
  // ioredis loses the name of a command that answers with bytes where it makes pipelines by itself.
  const unbundled = { enableAutoPipelining: false } as const;
  const settings = {
    maxRetriesPerRequest: 0,
    socketTimeout: sendTimeoutMs,
    // It would end each read that waits.
    commandTimeout: undefined,
    stringNumbers: false,
    replyMapping: "legacy",
  } as const;
  if (isCluster(connection)) {
    // ioredis 5 takes these in place of the caller's.
    const redisOptions = { ...connection.options.redisOptions, ...settings };
    return connection.duplicate([], { ...unbundled, scaleReads: "master", redisOptions });
  }
  const db = databaseOf(connection);
  return connection.duplicate({ ...settings, ...unbundled, ...(db !== undefined && { db }) });
}

/** The database that the caller has selected, if it has; while the connection is away ioredis keeps it apart. */
function databaseOf(connection: Redis & { readonly prevCondition?: Redis["condition"] }): number | undefined {
  return (connection.prevCondition ?? connection.condition)?.select ?? connection.options.db;
}

/**
 * Whether the caller's connection is not for our commands: it hands out answers in a form of its own, such as numbers as
 * text; makes pipelines by itself, which ioredis can do only where each command has its key first; or asks replicas,
 * which may not know yet what was just acknowledged.
 */
export function worksOtherwise(connection: Redis | Cluster): boolean {
  const isOfCluster = isCluster(connection);
  const { stringNumbers, replyMapping }: Readonly<Record<string, unknown>> = isOfCluster
    ? { ...connection.options.redisOptions }
    : { ...connection.options };
  return (
    stringNumbers === true ||
    replyMapping === "resp3" ||
    connection.options.enableAutoPipelining === true ||
    (isOfCluster && (connection.options.scaleReads ?? "master") !== "master")
  );
}
