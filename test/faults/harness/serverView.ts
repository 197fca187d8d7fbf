import type { RedisServer } from "../../kit/servers/redisServer.ts";
import { sinkId } from "./writers.ts";

type Asked = Pick<RedisServer, "client">;

/** A counter of INFO, such as `errorstat_NOSCRIPT:count`; 0 where it is not there yet. */
export async function counted({ client }: Asked, name: string): Promise<number> {
  const info = await client.info("everything");
  return Number(new RegExp(`^${name}[:=](\\d+)`, "m").exec(info)?.[1] ?? 0);
}

/** The IDs of the sink's connections. */
export async function sinkConnections({ client }: Asked): Promise<string[]> {
  const clients = String(await client.client("LIST")).split("\n");
  return clients.flatMap((line) =>
    line.includes(` name=rxadd:${sinkId} `) ? (line.split(" ")[0] ?? "") : [],
  );
}

/** Kills all connections but the test's own. */
export async function killConnections({ client }: Asked): Promise<void> {
  await client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
}
