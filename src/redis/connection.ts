import { Cluster, Redis } from "ioredis";
import {
  catchError,
  defer,
  EMPTY,
  filter,
  from,
  fromEvent,
  ignoreElements,
  map,
  merge,
  mergeMap,
  type Observable,
  of,
  share,
  switchMap,
  take,
  throwError,
  type Unsubscribable,
} from "rxjs";
import { redactUri } from "../redactUri.ts";
import { type SinkError, type SinkErrorTag, sinkError } from "../sinkError.ts";
import { addressOf, type ClientOptions, openClient } from "./client.ts";
import { confirmWith, type Durability } from "./durability.ts";
import { pipelinePublisher } from "./pipelinePublisher.ts";
import type { Publisher } from "./publisher.ts";
import { redisErrorOf } from "./redisError.ts";
import { scriptPublisher } from "./scriptPublisher.ts";

/** How a sink reaches Redis. */
export type Server =
  /**
   * `redis://`, `redis-sentinel://` or `redis-cluster://`, and with TLS `rediss://` and so on; the sink
   * opens a connection of its own and closes it.
   */
  | { readonly uri: string }
  /** The caller's own connection, which the sink never closes. */
  | { readonly connection: Redis | Cluster };

export interface ConnectionOptions extends Omit<ClientOptions, "uri"> {
  readonly server: Server;
  readonly publish: "script" | "pipeline";
  /** Undefined: a batch is safe when the master has it. */
  readonly durability: Durability | undefined;
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

/** A client, and what its errors mean. */
interface Link extends Unsubscribable {
  readonly client: Redis | Cluster;
  /** Calls Redis, once it takes commands; fails with a SinkError, also when it cannot be reached. */
  readonly call: <A>(command: () => Observable<A>) => Observable<A>;
  readonly failure$: Observable<never>;
  readonly close$: Observable<never>;
}

/** Watches a client, and closes it at the end if `isOwned`. */
function link(client: Redis | Cluster, where: string, isOwned: boolean): Link {
  let lastError: unknown;
  let wasReady = client.status === "ready";
  const hasOneHost = client instanceof Redis && !client.options.sentinels;
  const errors$ = merge(
    fromEvent(client, "error"),
    fromEvent(client, "node error", (error: unknown) => error),
  );

  /** ioredis rejects commands with a generic error; the cause came before, as an event. */
  function classify(error: unknown): SinkError {
    const classified = redisErrorOf(error, where);
    const cause =
      classified._tag === "ConnectionLost" && lastError !== undefined
        ? redisErrorOf(lastError, where)
        : classified;
    return cause._tag === "UnknownHost" && (wasReady || !hasOneHost)
      ? sinkError("Unreachable", `${where}: the host name is not known any more`, error)
      : cause;
  }

  /** Or a command would wait, unseen, for as long as no Sentinel and no node answers. */
  const reachable$ = defer(() =>
    client.status === "ready" || client.status === "wait" || client.status === "end"
      ? of(undefined)
      : merge(
          fromEvent(client, "ready"),
          merge(fromEvent(client, "error"), fromEvent(client, "close")).pipe(
            mergeMap((error) => throwError(() => error ?? new Error("Connection is closed."))),
          ),
        ).pipe(take(1)),
  ).pipe(share());

  // What still fails after the end, such as a last write, concerns nobody; ioredis would print it.
  if (isOwned) client.on("error", () => {});
  const watching = errors$.subscribe((error) => {
    lastError = error;
  });
  watching.add(
    fromEvent(client, "ready").subscribe(() => {
      lastError = undefined;
      wasReady = true;
    }),
  );

  return {
    client,
    call: (command) =>
      reachable$.pipe(
        switchMap(command),
        catchError((error) => throwError(() => classify(error))),
      ),
    failure$: errors$.pipe(
      map(classify),
      filter(isFinal),
      mergeMap((error) => throwError(() => error)),
    ),
    close$: defer(() => (isOwned ? client.quit().catch(() => client.disconnect()) : EMPTY)).pipe(
      ignoreElements(),
    ),
    unsubscribe: () => {
      watching.unsubscribe();
      if (isOwned) client.disconnect();
    },
  };
}

/** What trying again cannot help, although ioredis would go on for ever. */
const finalTags: ReadonlySet<SinkErrorTag> = new Set<SinkErrorTag>([
  "AuthenticationFailed",
  "TlsRejected",
  "UnknownHost",
  "UnknownMaster",
]);

function isFinal({ _tag }: SinkError): boolean {
  return finalTags.has(_tag);
}

/** Opens a connection, which goes on reconnecting until it is closed. */
export function openConnection(options: ConnectionOptions): Connection {
  const { server, publish, durability } = options;
  const isOwned = "uri" in server;
  const where = isOwned ? redactUri(server.uri) : "the caller's connection";
  if (publish === "pipeline" && isCluster(server)) {
    throw sinkError(
      "ConfigurationInvalid",
      "publish: found 'pipeline' with a Cluster, expected 'script': WATCH needs one connection",
    );
  }

  /** A further client like the first; the caller's has its own settings but for these. */
  function another(sendTimeoutMs: number): Redis | Cluster {
    if (isOwned) return openClient({ ...options, uri: server.uri, sendTimeoutMs });
    const { connection } = server;
    const settings = { maxRetriesPerRequest: 0, socketTimeout: sendTimeoutMs };
    return connection instanceof Cluster
      ? connection.duplicate([], { redisOptions: settings })
      : connection.duplicate(settings);
  }

  // WATCH needs a connection of its own, so does WAIT, which holds up everything behind it.
  const main =
    isOwned || publish === "pipeline"
      ? link(another(options.sendTimeoutMs), where, true)
      : link(server.connection, where, false);
  const replicas =
    durability === undefined
      ? undefined
      : link(another(options.sendTimeoutMs + durability.timeoutMs), where, true);
  const links = replicas === undefined ? [main] : [main, replicas];

  const publisher =
    publish === "script" ? scriptPublisher(main.client) : pipelinePublisher(main.client as Redis);
  const confirm = replicas && durability && confirmWith(replicas.client, durability);

  return {
    publisher: {
      open: (keys, owner) => main.call(() => publisher.open(keys, owner)),
      publish: (keys, batch) => main.call(() => publisher.publish(keys, batch)),
      ...(confirm && { confirm: (keys, upTo) => replicas.call(() => confirm(keys, upTo)) }),
    },
    ready$: merge(...links.map(({ client }) => fromEvent(client, "ready"))),
    failure$: merge(...links.map(({ failure$ }) => failure$)),
    warnings$:
      main.client.status === "ready" ? warnings(main.client, where) : warningsOnceReady(main.client, where),
    close$: merge(...links.map(({ close$ }) => close$)),
    unsubscribe: () => {
      for (const { unsubscribe } of links) unsubscribe();
    },
  };
}

function isCluster(server: Server): boolean {
  return "uri" in server ? addressOf(server.uri).kind === "cluster" : server.connection instanceof Cluster;
}

function warningsOnceReady(client: Redis | Cluster, where: string): Observable<string> {
  return fromEvent(client, "ready").pipe(
    take(1),
    switchMap(() => warnings(client, where)),
  );
}

/** Looks at the eviction policy of each master; without the right to ask, says nothing. */
function warnings(client: Redis | Cluster, where: string): Observable<string> {
  const masters = client instanceof Cluster ? client.nodes("master") : [client];
  return from(masters).pipe(
    mergeMap((master) => defer(() => master.info("memory")).pipe(catchError(() => EMPTY))),
    map((info) => /^maxmemory_policy:(allkeys-\S+)/m.exec(info)?.[1]),
    filter((policy) => policy !== undefined),
    map((policy) => evictionWarning(where, policy)),
    take(1),
  );
}

function evictionWarning(where: string, policy: string): string {
  return `${where} has maxmemory-policy ${policy}, which evicts whole streams when memory is short: set noeviction or a volatile-* policy`;
}
