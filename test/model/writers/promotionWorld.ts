import type { RedisServer } from "../../kit/servers/redisServer.ts";
import { contentOf, emptied, exhaust, inRealTime, losing, positionOf, removed } from "./realWorld.ts";
import type { Content, Keys, Line, World } from "./world.ts";
import { sinkId } from "./writer.ts";

/** A master and what takes its place. */
export interface Replicated {
  readonly master: () => RedisServer;
  /** The master goes on, and its replicas get nothing of it any more. */
  readonly cutReplication: () => Promise<unknown>;
  /** A replica becomes the master, and what it lacks is gone; all replicas follow. */
  readonly promote: () => Promise<unknown>;
  readonly connect: () => Promise<Line>;
}

/** A server whose replica is really promoted, for one history. A durable sink waits for the replica. */
export async function promotionWorld(
  { master, cutReplication, promote, connect }: Replicated,
  isDurable: boolean,
): Promise<World> {
  const state = `{s}:rxadd:${sinkId}`;
  const keys: Keys = { streams: ["s"], states: [state], marks: [`${state}:mark`] };
  let isLagging = false;

  const contents = () => Promise.all(keys.streams.map((key) => contentOf(master().client, key)));
  await master().client.flushall();
  await master().client.wait(1, 1000);

  return {
    ...inRealTime,
    keys,
    settings: isDurable ? { durability: { replicas: 1, timeoutMs: 20 } } : {},
    connect,
    contents,
    positions: () => Promise.all(keys.states.map((key) => positionOf(master().client, key))),
    isStalled: () => isDurable && isLagging,
    astray: async () => undefined,
    flush: () => losing(master().client, keys.streams, [emptied]),
    restart: contents,
    lag: async () => {
      if (!isLagging) await cutReplication();
      isLagging = true;
    },
    failover: async (): Promise<readonly Content[]> => {
      const { client } = master();
      // Nothing comes after one has looked.
      await client.config("SET", "min-replicas-to-write", 100);
      const before = await contents();
      await promote();
      await client.config("SET", "min-replicas-to-write", 0);
      isLagging = false;
      return before;
    },
    remove: (key, how) => losing(master().client, keys.streams, [removed(key, how)]),
    exhaust: (key, left) => exhaust(master().client, key, left),
    close: async () => {
      if (isLagging) await promote();
    },
  };
}
