import type { RedisServer } from "../../support/redisServer.ts";
import type { Direction } from "../../support/tcpProxy.ts";
import { startValve } from "../../support/valve.ts";
import type { Line } from "./world.ts";

/** What one process' ways to several servers have in common. */
export interface Valves {
  readonly line: Pick<Line, "hold" | "release" | "isHeld" | "cut">;
  /** Where the process finds a server of which it has been told: an option of ioredis. */
  readonly natMap: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
  readonly stop: () => Promise<unknown>;
}

/** A way of its own to each of the servers, all held and cut together. */
export async function startValves(servers: readonly Pick<RedisServer, "port">[]): Promise<Valves> {
  const ways = await Promise.all(
    servers.map(async ({ port }) => ({ to: `127.0.0.1:${port}`, valve: await startValve(port) })),
  );
  const shut = new Set<Direction>();
  return {
    natMap: Object.fromEntries(ways.map(({ to, valve }) => [to, { host: "127.0.0.1", port: valve.port }])),
    line: {
      hold: (direction) => {
        shut.add(direction);
        for (const { valve } of ways) valve.hold(direction);
      },
      release: () => {
        shut.clear();
        for (const { valve } of ways) valve.release();
      },
      isHeld: () => shut.size > 0,
      cut: () => {
        for (const { valve } of ways) valve.cut();
      },
    },
    stop: () => Promise.all(ways.map(({ valve }) => valve.stop())),
  };
}
