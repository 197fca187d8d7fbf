import { type Cluster, Redis } from "ioredis";
import {
  catchError,
  defer,
  EMPTY,
  filter,
  fromEvent,
  ignoreElements,
  map,
  mergeMap,
  type Observable,
  of,
  take,
  throwError,
  type Unsubscribable,
} from "rxjs";
import { redactUri } from "../redactUri.ts";
import { type SinkError, sinkError } from "../sinkError.ts";
import { pipelinePublisher } from "./pipelinePublisher.ts";
import type { Publisher } from "./publisher.ts";
import { redisErrorOf } from "./redisError.ts";
import { scriptPublisher } from "./scriptPublisher.ts";

/** How a sink reaches Redis. */
export type Server =
  /** `redis://` or, with TLS, `rediss://`; the sink opens a connection of its own and closes it. */
  | { readonly uri: string }
  /** The caller's own connection, which the sink never closes. */
  | { readonly connection: Redis | Cluster };

export interface ConnectionOptions {
  readonly server: Server;
  /** Shown by CLIENT LIST. */
  readonly name: string;
  readonly publish: "script" | "pipeline";
  readonly connectTimeoutMs: number;
  /** A connection that owes an answer and says nothing for this long is given up, in ms. */
  readonly sendTimeoutMs: number;
}

/** An open connection: unsubscribing closes it at once, unless it is the caller's. */
export interface Connection extends Unsubscribable {
  /** Its errors are SinkErrors. */
  readonly publisher: Publisher;
  /** Emits each time that Redis takes commands again. */
  readonly ready$: Observable<unknown>;
  /** Errors when trying again cannot help: wrong password, TLS refused, unknown host. Never emits. */
  readonly failure$: Observable<never>;
  /** What about the server's settings endangers the stream; completes after one look. */
  readonly warnings$: Observable<string>;
  /** Lets what was sent be answered, closes the connection, completes. */
  readonly close$: Observable<never>;
}

/**
 * The settings under which ioredis never sends a write again behind our back, notices a dead
 * connection, and leaves a demoted master. Each was measured; see docs/decisions/0003-ioredis-settings.md.
 */
function openClient(uri: string, { name, connectTimeoutMs, sendTimeoutMs }: ConnectionOptions): Redis {
  return new Redis(uri, {
    connectionName: name,
    maxRetriesPerRequest: 0,
    connectTimeout: connectTimeoutMs,
    socketTimeout: sendTimeoutMs,
    retryStrategy: (attempt) => Math.min(50 * 2 ** (attempt - 1), 1000) * (0.8 + 0.4 * Math.random()),
    reconnectOnError: (error) => (error.message.startsWith("READONLY") ? 1 : false),
  });
}

function isFinal(error: SinkError): boolean {
  return (
    error._tag === "AuthenticationFailed" || error._tag === "TlsRejected" || error._tag === "UnknownHost"
  );
}

/** Opens a connection, which goes on reconnecting until it is closed. */
export function openConnection(options: ConnectionOptions): Connection {
  const { server, publish } = options;
  const isOwned = "uri" in server;
  const where = isOwned ? redactUri(server.uri) : "the caller's connection";
  const shared = isOwned ? openClient(server.uri, options) : server.connection;
  const client = publish === "pipeline" && !isOwned ? duplicateOf(server.connection) : shared;

  let lastError: unknown;
  let wasReady = client.status === "ready";

  /** ioredis rejects commands with a generic error; the cause came before, as an event. */
  function classify(error: unknown): SinkError {
    const classified = redisErrorOf(error, where);
    const cause =
      classified._tag === "ConnectionLost" && lastError !== undefined
        ? redisErrorOf(lastError, where)
        : classified;
    return cause._tag === "UnknownHost" && wasReady
      ? sinkError("Unreachable", `${where}: the host name is not known any more`, error)
      : cause;
  }

  function classified<A>(result$: Observable<A>): Observable<A> {
    return result$.pipe(catchError((error) => throwError(() => classify(error))));
  }

  const publisher = publish === "script" ? scriptPublisher(client) : pipelinePublisher(client as Redis);
  const errors = fromEvent(client, "error").subscribe((error) => {
    lastError = error;
  });
  errors.add(
    fromEvent(client, "ready").subscribe(() => {
      lastError = undefined;
      wasReady = true;
    }),
  );

  return {
    publisher: {
      open: (keys, owner) => classified(publisher.open(keys, owner)),
      publish: (keys, batch) => classified(publisher.publish(keys, batch)),
    },
    ready$: fromEvent(client, "ready"),
    failure$: fromEvent(client, "error").pipe(
      map(classify),
      filter(isFinal),
      mergeMap((error) => throwError(() => error)),
    ),
    warnings$: (wasReady ? of(undefined) : fromEvent(client, "ready")).pipe(
      take(1),
      mergeMap(() => defer(() => client.info("memory")).pipe(catchError(() => EMPTY))),
      map((info) => /^maxmemory_policy:(allkeys-\S+)/m.exec(info)?.[1]),
      mergeMap((policy) => (policy === undefined ? EMPTY : [evictionWarning(where, policy)])),
    ),
    close$: defer(() =>
      client === shared && !isOwned ? EMPTY : client.quit().catch(() => client.disconnect()),
    ).pipe(ignoreElements()),
    unsubscribe: () => {
      errors.unsubscribe();
      if (client !== shared || isOwned) client.disconnect();
    },
  };
}

function evictionWarning(where: string, policy: string): string {
  return `${where} has maxmemory-policy ${policy}, which evicts whole streams when memory is short: set noeviction or a volatile-* policy`;
}

/** WATCH needs a connection of its own, and the settings of {@link openClient}. */
function duplicateOf(connection: Redis | Cluster): Redis {
  if (!(connection instanceof Redis)) {
    throw sinkError(
      "ConfigurationInvalid",
      "publish: found 'pipeline' with a Cluster connection, expected 'script': WATCH needs one connection",
    );
  }
  return connection.duplicate({ maxRetriesPerRequest: 0 });
}
