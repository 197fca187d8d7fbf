import type { Cluster, Redis } from "ioredis";
import { merge, type Observable, type Unsubscribable } from "rxjs";
import { rxaddError } from "../../errors/rxaddError.ts";
import type { RedisServer } from "../connect/anotherClient.ts";
import { addressOf, type ClientOptions } from "../connect/client.ts";
import type { Link } from "../connect/link.ts";
import { nameOf, openLink, openWaitingLink } from "../connect/openLink.ts";
import { clientOf } from "../connect/ownConnection.ts";
import { isCluster } from "../connect/topology.ts";
import { evictionWarning } from "../inspect/evictionWarning.ts";
import { MultiPort } from "./byMulti.ts";
import { scriptPort } from "./byScript.ts";
import { confirmWith, type DurabilityOptions } from "./durability.ts";
import { type SinkServer, withServer } from "./fakeServer.ts";
import { type LedgerStore, ledgerStore } from "./ledger.ts";
import type { PublishPort } from "./publishPort.ts";
import { type Trim, trimArgs } from "./trimming.ts";

export interface ConnectionOptions extends Omit<ClientOptions, "uri"> {
  readonly server: SinkServer;
  readonly publish: "script" | "multi";
  /** Undefined: a batch is safe when the master has it. */
  readonly durability: DurabilityOptions | undefined;
  /** Undefined: nothing is removed. */
  readonly trim: Trim | undefined;
}

/** An open connection: unsubscribing closes it at once, unless it is the caller's. */
export interface Connection extends Unsubscribable {
  /** Its errors are RxaddErrors. */
  readonly publishPort: PublishPort;
  /** Keys stand on several servers, a script call and a lane on one. */
  readonly isCluster: boolean;
  /** In a Cluster: the hash under a key that says where a sink with several lanes stands. */
  readonly ledger?: (key: string) => LedgerStore;
  /** Emits each time that Redis takes commands again. */
  readonly ready$: Observable<unknown>;
  /** Errors when trying again cannot help: wrong password, TLS refused, unknown host. Never emits. */
  readonly failure$: Observable<never>;
  /** What about the server's settings endangers the stream; completes after one look. */
  readonly warnings$: Observable<string>;
  /** Lets what was sent be answered, closes the connection, completes. */
  readonly close$: Observable<never>;
}

/** Opens a connection, which goes on reconnecting until it is closed. */
export function openConnection(options: ConnectionOptions): Connection {
  return withServer(
    options.server,
    (server) => openRealConnection({ ...options, server }),
    ({ publishing }) => publishing(options),
  );
}

function openRealConnection(options: ConnectionOptions & { readonly server: RedisServer }): Connection {
  const { server, publish, durability, trim } = options;
  if (publish === "multi" && leadsToCluster(server)) {
    throw rxaddError(
      "ConfigurationInvalid",
      "publish: found 'multi' with a Cluster, expected 'script': WATCH needs one connection",
    );
  }

  const publishWith =
    publish === "script" ? (client: Redis | Cluster) => scriptPort(client, trim) : multiWith(trim);

  // WATCH needs a connection of its own, so does WAIT, which holds up everything behind it.
  const main = publish === "multi" ? openWaitingLink(server, options, 0) : openLink(server, options);
  const replicas =
    durability === undefined ? undefined : openWaitingLink(server, options, durability.timeoutMs);
  const links = replicas === undefined ? [main] : [main, replicas];

  const publishPort = publishWith(main.client);
  const confirm = replicas && durability && confirmWith(replicas.client, durability);

  return {
    publishPort: {
      open: (keys, owner, adopt) => main.call(() => publishPort.open(keys, owner, adopt)),
      publish: (keys, batch) => main.call(() => publishPort.publish(keys, batch)),
      ...(confirm && { confirm: (keys, upTo, stream) => replicas.call(() => confirm(keys, upTo, stream)) }),
    },
    isCluster: leadsToCluster(server),
    ...(leadsToCluster(server) && {
      ledger: (key: string) =>
        linkedLedger(
          ledgerStore(key, main.client, replicas && durability && { client: replicas.client, durability }),
          main,
          replicas ?? main,
        ),
    }),
    ready$: merge(...links.map(({ ready$ }) => ready$)),
    failure$: merge(...links.map(({ failure$ }) => failure$)),
    warnings$: evictionWarning(main.client, nameOf(server)),
    close$: merge(...links.map(({ close$ }) => close$)),
    unsubscribe: () => {
      for (const { unsubscribe } of links) unsubscribe();
    },
  };
}

/** Calls Redis once it takes commands, and turns what goes wrong into RxaddErrors. */
function linkedLedger(store: LedgerStore, main: Link, writing: Link): LedgerStore {
  return {
    open: (owner, name) => main.call(() => store.open(owner, name)),
    write: (page) => writing.call(() => store.write(page)),
    stands: () => main.call(() => store.stands()),
    line: (stream) => main.call(() => store.line(stream)),
    trace: (stateKey) => main.call(() => store.trace(stateKey)),
  };
}

/** The plain form cannot look at the server's clock or at groups before it trims. */
function multiWith(trim: Trim | undefined): (client: Redis | Cluster) => PublishPort {
  if (typeof trim === "object") trimArgs(trim);
  // A Cluster has been refused.
  return (client) => new MultiPort(client as Redis, trim);
}

function leadsToCluster(server: RedisServer): boolean {
  return "uri" in server ? addressOf(server.uri).kind === "cluster" : isCluster(clientOf(server));
}
