import { sinkError } from "../sinkError.ts";
import type { Server } from "./anotherClient.ts";

/** What ioredis would put before each key; it does so in commands, and not in what Redis answers. */
function keyPrefixOf(server: Server): string {
  if ("connection" in server) return server.connection.options.keyPrefix ?? "";
  const [, query = ""] = server.uri.split("?");
  return new URLSearchParams(query.split("#")[0]).get("keyPrefix") ?? "";
}

/** A reader knows streams by what Redis calls them, which with a prefix is not what they were asked for by. */
export function refuseKeyPrefix(who: string, server: Server): void {
  const prefix = keyPrefixOf(server);
  if (prefix === "") return;
  const option = "connection" in server ? "connection" : "uri";
  throw sinkError(
    "ConfigurationInvalid",
    `${who}: ${option}: found keyPrefix ${JSON.stringify(prefix)}, expected none: put it into the stream's name, and pass ${option === "uri" ? "a URI" : "a connection"} without it`,
  );
}
