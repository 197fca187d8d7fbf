import type { RedisConnection } from "../connect/ownConnection.ts";
import type { Connection, ConnectionOptions } from "./publishConnection.ts";

/** Under this name a server in memory opens a connection, also one of another copy of the package, such as a test runner makes. */
export const openFake: unique symbol = Symbol.for("rxadd.openFake");

/** What `fakeRedis` of `rxadd/testing` makes, for a sink to publish to. */
export interface FakeServer {
  readonly [openFake]: (options: ConnectionOptions) => Connection;
}

/** A connection of the caller's for a sink. */
export type SinkConnection = RedisConnection | FakeServer;

/** How a sink reaches Redis. The compiler misses the last one where there is none. */
export type SinkServer =
  /** The caller's own connection, which is never closed, or `fakeRedis()` of `rxadd/testing`. */
  | { readonly connection: SinkConnection }
  /** As {@link RedisServer} has it. */
  | { readonly uri: string };

/** Tells it from a connection of ioredis. */
export function isFake(connection: object): connection is FakeServer {
  return openFake in connection;
}
