import { isLeft } from "fp-ts/lib/Either.js";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { rxaddError } from "../../errors/rxaddError.ts";
import { parseRedisUri, type RedisAddress } from "./address.ts";
import { type TlsOptions, tlsOptions } from "./tls.ts";

/** Credentials of the Sentinels themselves, where they have any. */
export interface SentinelOptions {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** How a client reaches Redis. */
export interface ClientOptions {
  readonly uri: string;
  /** Shown by CLIENT LIST. */
  readonly name: string;
  readonly tls?: TlsOptions | undefined;
  readonly sentinel?: SentinelOptions | undefined;
  /** In ms. */
  readonly connectTimeoutMs: number;
  /** A connection that owes an answer and says nothing for this long is given up, in ms. */
  readonly sendTimeoutMs: number;
}

/** Where a URI leads that was checked before. */
export function addressOf(uri: string): RedisAddress {
  const address = parseRedisUri(uri);
  if (isLeft(address)) throw rxaddError("ConfigurationInvalid", `uri: expected ${address.left}`);
  return address.right;
}

function reconnectDelayMs(attempt: number): number {
  return Math.min(50 * 2 ** (attempt - 1), 1000) * (0.8 + 0.4 * Math.random());
}

/**
 * The settings under which ioredis never sends a write again behind our back, notices a dead
 * connection, and leaves a demoted master. Each was measured; see docs/decisions/0003-ioredis-settings.md.
 */
function settingsOf({ name, connectTimeoutMs, sendTimeoutMs }: ClientOptions) {
  return {
    connectionName: name,
    // Where the user has no right to it, each connection would be a line in Redis' ACL LOG.
    disableClientInfo: true,
    maxRetriesPerRequest: 0,
    // How soon a server that loads its data is asked again; its own estimate may be seconds too long.
    maxLoadingRetryTime: 100,
    connectTimeout: connectTimeoutMs,
    socketTimeout: sendTimeoutMs,
    // How long a connection that is left may take to end politely.
    disconnectTimeout: 100,
    retryStrategy: reconnectDelayMs,
    reconnectOnError: (error) => (error.message.startsWith("READONLY") ? 1 : false),
  } satisfies RedisOptions;
}

/** Opens a client, which goes on reconnecting until it is closed. */
export function openClient(options: ClientOptions): Redis | Cluster {
  const address = addressOf(options.uri);
  const hasTls = address.isTls || options.tls !== undefined;
  const tls = hasTls ? { tls: tlsOptions(options.tls ?? {}) } : {};
  const settings = { ...settingsOf(options), ...tls };
  switch (address.kind) {
    case "server":
      return new Redis({
        ...settings,
        ...credentialsOf(address),
        host: address.host,
        port: address.port,
        db: address.db,
      });
    case "sentinel":
      return new Redis({
        ...settings,
        ...credentialsOf(address),
        sentinels: [...address.nodes],
        name: address.master,
        db: address.db,
        failoverDetector: true,
        sentinelRetryStrategy: reconnectDelayMs,
        sentinelCommandTimeout: options.sendTimeoutMs,
        ...(options.sentinel?.username !== undefined && { sentinelUsername: options.sentinel.username }),
        ...(options.sentinel?.password !== undefined && { sentinelPassword: options.sentinel.password }),
        ...(hasTls && { sentinelTLS: tls.tls, enableTLSForSentinelMode: true }),
      });
    case "cluster": {
      const { retryStrategy, ...redisOptions } = settings;
      return new Cluster([...address.nodes], {
        redisOptions: { ...redisOptions, ...credentialsOf(address) },
        retryDelayOnFailover: 0,
        clusterRetryStrategy: reconnectDelayMs,
        slotsRefreshTimeout: options.connectTimeoutMs,
        // A node that is cut off from the others does not tell that its slots have gone.
        slotsRefreshInterval: 5000,
        // Certificates carry names, not the addresses behind them.
        ...(hasTls && { dnsLookup: (host, callback) => callback(null, host) }),
      });
    }
  }
}

function credentialsOf({
  username,
  password,
}: {
  username: string | undefined;
  password: string | undefined;
}) {
  return { ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
}
