import type { Cluster, Redis } from "ioredis";
import { concatMap, defer, finalize, from, type Observable, toArray } from "rxjs";
import { addressOf, type ClientOptions } from "../connect/client.ts";
import { nameOf, openLink } from "../connect/openLink.ts";
import { mastersOf } from "../connect/topology.ts";
import { ifAllowed, type KnownKeys, type LaneUse, type Rights, rightsOn } from "./rights.ts";

/** A stream, before anything is published. */
export interface InspectedStream {
  readonly key: string;
  /** `stream`, `none`, or something that no sink can use; undefined: the user may not ask. */
  readonly type: string | undefined;
  readonly length: number | undefined;
}

/** A lane, before anything is published. */
export interface InspectedLane extends Rights {
  readonly streams: readonly InspectedStream[];
  readonly stateKey: string;
  /** `hash`, `none`, or something that no sink can use; undefined: the user may not ask. */
  readonly stateType: string | undefined;
  /** Undefined: the sink has not run yet. */
  readonly state: { readonly epoch: string; readonly position: string } | undefined;
}

/** What a server says of a sink before anything is published. */
export interface Inspection {
  /** Such as `redis 7.0.15` or `valkey 8.0.1`; undefined: the user may not ask. */
  readonly server: string | undefined;
  /** It copies another server, and takes no writes of clients. */
  readonly isReadOnlyReplica: boolean;
  /** `maxmemory-policy`, of several masters the one that endangers streams; undefined: it does not tell. */
  readonly evictionPolicy: string | undefined;
  readonly lanes: readonly InspectedLane[];
}

/** What to look at. */
export interface InspectionOptions extends ClientOptions, LaneUse {
  readonly lanes: readonly KnownKeys[];
}

/** Whether a URI leads to a Cluster. */
export function leadsToCluster(uri: string): boolean {
  return addressOf(uri).kind === "cluster";
}

/**
 * Looks at a server for a sink, and changes nothing there: no epoch is raised, nobody is fenced. It tries once, and
 * fails with an RxaddError.
 */
export function inspect(options: InspectionOptions): Observable<Inspection> {
  return defer(() => {
    const server = { uri: options.uri };
    const where = nameOf(server);
    const { client, call, unsubscribe } = openLink(server, options);
    const seen$ = from(options.lanes).pipe(
      concatMap((keys) => lookAtLane(client, where, keys)),
      toArray(),
      concatMap(async (seen): Promise<Inspection> => {
        const found = await lookAtServer(client, where);
        // Last, as it leaves the connection in a transaction.
        const lanes = [];
        for (const [index, keys] of options.lanes.entries()) {
          const lane = seen[index];
          if (lane !== undefined) lanes.push({ ...lane, ...(await rightsOn(client, where, keys, options)) });
        }
        return { ...found, lanes };
      }),
    );
    return call(() => seen$).pipe(finalize(unsubscribe));
  });
}

async function lookAtServer(client: Redis | Cluster, where: string): Promise<Omit<Inspection, "lanes">> {
  const masters = mastersOf(client);
  const infos = await ifAllowed(where, () => Promise.all(masters.map((master) => master.info())));
  const policies = (infos ?? []).map((info) => fieldOf(info, "maxmemory_policy"));
  const [info] = infos ?? [];
  return {
    server: info === undefined ? undefined : versionIn(info),
    isReadOnlyReplica: fieldOf(info, "role") === "slave" && fieldOf(info, "slave_read_only") !== "0",
    evictionPolicy: policies.find((policy) => policy?.startsWith("allkeys-")) ?? policies[0],
  };
}

async function lookAtLane(
  client: Redis | Cluster,
  where: string,
  { state, streams, deadLetters }: KnownKeys,
): Promise<Omit<InspectedLane, keyof Rights>> {
  const all = deadLetters === undefined ? streams : [...streams, deadLetters];
  const stateType = await ifAllowed(where, () => client.type(state));
  return {
    streams: await Promise.all(all.map((key) => lookAtStream(client, where, key))),
    stateKey: state,
    stateType,
    state: stateType === "hash" ? await ifAllowed(where, () => standing(client, state)) : undefined,
  };
}

async function lookAtStream(client: Redis | Cluster, where: string, key: string): Promise<InspectedStream> {
  const type = await ifAllowed(where, () => client.type(key));
  const length = type === "stream" ? await ifAllowed(where, () => client.xlen(key)) : undefined;
  return { key, type, length };
}

async function standing(client: Redis | Cluster, state: string): Promise<InspectedLane["state"]> {
  const [epoch, position] = await client.hmget(state, "epoch", "position");
  return epoch ? { epoch, position: position ?? "" } : undefined;
}

function fieldOf(info: string | undefined, name: string): string | undefined {
  return new RegExp(`^${name}:(\\S+)`, "m").exec(info ?? "")?.[1];
}

function versionIn(info: string): string {
  const valkey = fieldOf(info, "valkey_version");
  return valkey === undefined ? `redis ${fieldOf(info, "redis_version")}` : `valkey ${valkey}`;
}
