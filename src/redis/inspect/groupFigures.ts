import type { Cluster, Redis } from "ioredis";
import type { GroupFigures } from "../../telemetry/groupFigures.ts";
import { consumersOf, groupsOf } from "./groups.ts";

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
  const found = groupsOf(groups).find((one) => one.group === group);
  if (found === undefined) return undefined;
  const consumers = consumersOf(await client.xinfo("CONSUMERS", stream, group));
  return { stream, length, ...found, consumers };
}
