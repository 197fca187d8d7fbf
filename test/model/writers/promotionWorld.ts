import type { RedisServer } from "../../support/redisServer.ts";
import { stuckMs } from "../patience.ts";
import { aside, connect, contentOf, exhaust, losing, positionOf, turn } from "./realWorld.ts";
import type { Content, Keys, Line, World } from "./world.ts";
import { sinkId } from "./writer.ts";

/** A master and its replica; they change places. */
export interface Pair {
  master: RedisServer;
  replica: RedisServer;
}

/** Makes the replica follow its master; resolves when it has all that the master has. */
export async function follow({ master, replica }: Pair): Promise<void> {
  await replica.client.replicaof("127.0.0.1", master.port);
  while (!(await master.client.info("replication")).includes(`port=${replica.port},state=online`))
    await turn();
  await master.client.wait(1, 1000);
}

/** A server whose replica is really promoted, for one history. A durable sink waits for the replica. */
export async function promotionWorld(pair: Pair, isDurable: boolean): Promise<World> {
  const state = `{s}:rxadd:${sinkId}`;
  const keys: Keys = { streams: ["s"], states: [state], marks: [`${state}:mark`] };
  const lines: Line[] = [];
  let isLagging = false;

  const contents = () => Promise.all(keys.streams.map((key) => contentOf(pair.master.client, key)));
  await pair.master.client.flushall();
  await pair.master.client.wait(1, 1000);

  async function lag(): Promise<void> {
    isLagging = true;
    await pair.replica.client.replicaof("NO", "ONE");
  }

  /** Resolves with all that the old master has had. */
  async function promote(): Promise<readonly Content[]> {
    const { master, replica } = pair;
    await lag();
    for (const { retarget } of lines) retarget?.(replica.port);
    await master.client.call("CLIENT", ["KILL", "TYPE", "normal", "SKIPME", "yes"]);
    const before = await contents();
    pair.master = replica;
    pair.replica = master;
    await follow(pair);
    isLagging = false;
    return before;
  }

  return {
    keys,
    settings: isDurable ? { durability: { replicas: 1, timeoutMs: 20 } } : {},
    connect: async () => {
      const line = await connect(pair.master);
      lines.push(line);
      return line;
    },
    contents,
    positions: () => Promise.all(keys.states.map((key) => positionOf(pair.master.client, key))),
    isStalled: () => isDurable && isLagging,
    astray: async () => undefined,
    until: async (isSo) => {
      const end = performance.now() + stuckMs;
      while (!isSo() && performance.now() < end) await turn();
      return isSo();
    },
    pass: async () => {
      const end = performance.now() + 4;
      while (performance.now() < end) await turn();
    },
    begin: async () => {},
    flush: () => losing(pair.master.client, keys.streams, (transaction) => transaction.flushall()),
    restart: contents,
    lose: async () => {},
    lag,
    failover: promote,
    remove: (key, how) =>
      losing(pair.master.client, keys.streams, (transaction) => {
        if (how === "delete") transaction.del(key);
        else transaction.rename(key, `${aside}${key}`);
      }),
    exhaust: (key, left) => exhaust(pair.master.client, key, left),
    close: async () => {
      if (isLagging) await follow(pair);
    },
  };
}
