import { redactUri } from "../../errors/redactUri.ts";
import { anotherClient, type RedisServer, worksOtherwise } from "./anotherClient.ts";
import type { ClientOptions } from "./client.ts";
import { type Link, link, type Origin } from "./link.ts";
import { clientOf } from "./ownConnection.ts";

/** A server's name for messages, without its password. */
export function nameOf(server: RedisServer): string {
  return "uri" in server ? redactUri(server.uri) : "the caller's connection";
}

/** Opens a connection, or takes the caller's, or, where it works in a way of its own, one like it. */
export function openLink(server: RedisServer, options: Omit<ClientOptions, "uri">): Link {
  return "uri" in server || worksOtherwise(clientOf(server))
    ? link(anotherClient(server, options), nameOf(server), originOf(server))
    : link(clientOf(server), nameOf(server), "given");
}

/** Opens one that may be busy with waiting, for `waitMs` longer than others; never the caller's own. */
export function openWaitingLink(
  server: RedisServer,
  options: Omit<ClientOptions, "uri">,
  waitMs: number,
): Link {
  return link(
    anotherClient(server, options, options.sendTimeoutMs + waitMs),
    nameOf(server),
    originOf(server),
  );
}

/** Of a client that is made for a server. */
function originOf(server: RedisServer): Origin {
  return "uri" in server ? "opened" : "copied";
}
