import type { Cluster, Redis } from "ioredis";
import type { Direction } from "../../kit/network/tcpProxy.ts";
import { startValve, type Valve } from "../../kit/network/valve.ts";
import type { RedisServer } from "../../kit/servers/redisServer.ts";
import type { Line } from "./world.ts";

/** Where a process finds a server of which it has been told: an option of ioredis. */
type NatMap = Readonly<Record<string, { readonly host: string; readonly port: number }>>;

/** A line over a way of its own to each of the servers, all held and cut together; `connect` opens its connection as a sink opens its own. */
export async function lineOver(
  servers: readonly Pick<RedisServer, "port">[],
  connect: (natMap: NatMap) => Redis | Cluster,
): Promise<Line> {
  const ways = await Promise.all(
    servers.map(async ({ port }) => ({ to: `127.0.0.1:${port}`, valve: await startValve(port) })),
  );
  const shut = new Set<Direction>();
  const all = (act: (valve: Valve) => void) => {
    for (const { valve } of ways) act(valve);
  };
  const connection = connect(
    Object.fromEntries(ways.map(({ to, valve }) => [to, { host: "127.0.0.1", port: valve.port }])),
  );
  connection.on("error", () => {
    // The sink says it.
  });
  return {
    server: { connection },
    hold: (direction) => {
      shut.add(direction);
      all(({ hold }) => hold(direction));
    },
    release: () => {
      shut.clear();
      all(({ release }) => release());
    },
    isHeld: () => shut.size > 0,
    cut: () => all(({ cut }) => cut()),
    close: async () => {
      connection.disconnect();
      await Promise.all(ways.map(({ valve }) => valve.stop()));
    },
  };
}
