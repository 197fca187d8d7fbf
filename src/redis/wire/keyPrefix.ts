import { rxaddError } from "../../errors/rxaddError.ts";
import type { RedisServer } from "../connect/anotherClient.ts";
import { clientOf } from "../connect/ownConnection.ts";
import { type SinkServer, withServer } from "../publish/fakeServer.ts";

function prefixOf(server: RedisServer): string {
  return "connection" in server ? (clientOf(server).options.keyPrefix ?? "") : "";
}

/**
 * ioredis puts it before each key in commands, and leaves it in what Redis answers: a reader, which knows streams by
 * what Redis calls them, would know none of those that it was asked for.
 */
export function refuseKeyPrefix(who: string, server: SinkServer): void {
  const keyPrefix = withServer(server, prefixOf, () => "");
  if (keyPrefix === "") return;
  throw rxaddError(
    "ConfigurationInvalid",
    `${who}: connection: found keyPrefix ${JSON.stringify(keyPrefix)}, expected none: put it into the stream's name, and pass a connection without it`,
  );
}
