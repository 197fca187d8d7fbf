import type { Connection, ConnectionOptions } from "./publishConnection.ts";

/** Under this name a server in memory opens a connection. */
export const openFake: unique symbol = Symbol("rxadd.openFake");

/** What `fakeRedis` of `rxadd/testing` makes, for a sink to publish to. */
export interface FakeServer {
  readonly [openFake]: (options: ConnectionOptions) => Connection;
}

/** Tells it from a connection of ioredis. */
export function isFake(connection: object): connection is FakeServer {
  return openFake in connection;
}
