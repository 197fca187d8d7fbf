import type { Cluster, Redis } from "ioredis";
import type { GroupFigures } from "../../telemetry/groupFigures.ts";
import { tablesOf } from "../wire/entryReplies.ts";

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
