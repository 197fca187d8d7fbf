import type { Cluster, Redis } from "ioredis";
import { tablesOf } from "../wire/replies.ts";

/** One consumer of a group. */
export interface ConsumerFigures {
  readonly name: string;
  /** Delivered to it and not acknowledged. */
  readonly pending: number;
  /** Since it last asked for entries, in ms. */
  readonly idleMs: number;
}

/** How far a group is. */
export interface GroupFigures {
  readonly stream: string;
  readonly group: string;
  /** Entries in the stream. */
  readonly length: number;
  /** Entries that the group has not read; undefined: Redis cannot tell, or is older than 7. */
  readonly lag: number | undefined;
  /** Delivered and not acknowledged. */
  readonly pending: number;
  readonly lastDeliveredId: string;
  readonly consumers: readonly ConsumerFigures[];
}

/** Looks at a group; undefined: it is not there. */
export async function groupFigures(
  client: Redis | Cluster,
  stream: string,
  group: string,
): Promise<GroupFigures | undefined> {
  const [length, groups] = await Promise.all([
    client.xlen(stream),
    client.exists(stream).then((stands) => (stands === 1 ? client.xinfo("GROUPS", stream) : [])),
  ]);
  const found = tablesOf(groups).find((table) => table.get("name") === group);
  if (found === undefined) return undefined;
  const consumers = tablesOf(await client.xinfo("CONSUMERS", stream, group));
  const lag = found.get("lag");
  return {
    stream,
    group,
    length,
    lag: typeof lag === "number" ? lag : undefined,
    pending: Number(found.get("pending")),
    lastDeliveredId: String(found.get("last-delivered-id")),
    consumers: consumers.map((table) => ({
      name: String(table.get("name")),
      pending: Number(table.get("pending")),
      idleMs: Number(table.get("idle")),
    })),
  };
}
