import { optional } from "../../options/settings.ts";
import type { RedisServer } from "../connect/anotherClient.ts";
import { connectionOr, type RedisConnection } from "../connect/ownConnection.ts";
import type { GroupConnectionOptions, GroupPort } from "../group/groupConnection.ts";
import type { ReadConnection, ReadConnectionOptions } from "../read/readConnection.ts";
import type { Connection, ConnectionOptions } from "./publishConnection.ts";

/** Under this name a server in memory opens connections, also one of another copy of the package, such as a test runner makes. */
export const openFake: unique symbol = Symbol.for("rxadd.openFake");

/** What `fakeRedis` of `rxadd/testing` makes, for a sink to publish to and a consumer to read from. */
export interface FakeServer {
  readonly [openFake]: {
    readonly publishing: (options: Pick<ConnectionOptions, "trim">) => Connection;
    readonly reading: (options: Pick<ReadConnectionOptions, "blockMs">) => ReadConnection;
    readonly group: (
      options: Pick<GroupConnectionOptions, "group" | "consumer" | "claimIdleMs">,
    ) => GroupPort;
  };
}

/** A connection of the caller's for a sink or a consumer. */
export type SinkConnection = RedisConnection | FakeServer;

/** How a sink or a consumer reaches Redis. The compiler misses the last one where there is none. */
export type SinkServer =
  /** The caller's own connection, which is never closed, or `fakeRedis()` of `rxadd/testing`. */
  | { readonly connection: SinkConnection }
  /** As {@link RedisServer} has it. */
  | { readonly uri: string };

/** Tells it from a connection of ioredis. */
export function isFake(connection: object): connection is FakeServer {
  return openFake in connection;
}

/** A connection, or a server in memory, as an option. */
export const connectionSetting = optional(connectionOr(isFake), "One's own connection, in place of a URI");

/** Does what there is to do with a real server, or with one in memory. */
export function withServer<A>(
  server: SinkServer,
  real: (server: RedisServer) => A,
  fake: (opening: FakeServer[typeof openFake]) => A,
): A {
  return "connection" in server && isFake(server.connection)
    ? fake(server.connection[openFake])
    : // Just the fake one has been left out.
      real(server as RedisServer);
}
