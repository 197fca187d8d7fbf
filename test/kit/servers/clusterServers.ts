import { setTimeout as delay } from "node:timers/promises";
import { untilNothingWrong } from "../time/untilNothingWrong.ts";
import { type NodeView, nodesOf, rolesIn, wrongIn } from "./clusterView.ts";
import { freePort } from "./freePort.ts";
import { type RedisServer, startRedis } from "./redisServer.ts";

/** What to start. */
export interface ClusterSettings {
  readonly masters?: number;
  readonly replicasPerMaster?: 0 | 1;
  /** Settings of each node. */
  readonly args?: readonly string[];
  /** A node that is silent for so long is down. Default 1000 ms. */
  readonly nodeTimeoutMs?: number;
}

/** How to move a slot. */
export interface Migration {
  /** Called after each key that has moved, while others may still be where they were. */
  readonly betweenKeys?: (moved: string) => Promise<unknown>;
}

/**
 * A Redis Cluster that covers all slots. What changes it resolves when all nodes agree on the new state. The masters
 * elect again at the earliest after twice the node timeout: the next change waits for that by itself.
 */
export interface ClusterServers {
  /** `redis-cluster://host:port,host:port`. */
  readonly uri: string;
  /** First the masters, then a replica of each, in the same order; later they may change places. */
  readonly nodes: readonly RedisServer[];
  /** The master of a key's slot now. */
  readonly ownerOf: (key: string) => Promise<RedisServer>;
  /** The one that follows a master. */
  readonly replicaOf: (master: RedisServer) => Promise<RedisServer | undefined>;
  /** Moves the slot of a key to another master as `redis-cli` does; this key before all others of the slot. */
  readonly migrateSlot: (key: string, to: RedisServer, migration?: Migration) => Promise<void>;
  /** Lets a master and its replica change places, with nothing lost; resolves with the new master. */
  readonly failover: (master: RedisServer) => Promise<RedisServer>;
  /** Kills the master of a key; resolves with it when its replica is in its place, or without one, when all see the cluster down. */
  readonly killMaster: (key: string) => Promise<RedisServer>;
  /** The same, and what came `meanwhile` is lost: its replica is cut off before, and lacks it when it takes over. */
  readonly killMasterAhead: (key: string, meanwhile: () => Promise<unknown>) => Promise<RedisServer>;
  /** The same, but the master is frozen and wakes up by `restart`. */
  readonly freezeMaster: (key: string) => Promise<RedisServer>;
  /** Brings back a node that was killed or frozen. */
  readonly restart: (server: RedisServer) => Promise<void>;
  /** Resolves when all nodes that run see all others and all slots covered, and replicas are in sync. */
  readonly settled: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

const allSlots = 16_384;
/** MIGRATE moves a stream as one key, however big; in ms. */
const migrateTimeoutMs = 120_000;

/** Starts the nodes of a cluster; resolves when all see it covered and replicas are in sync. */
export async function startCluster(settings: ClusterSettings = {}): Promise<ClusterServers> {
  const { masters = 3, replicasPerMaster = 0, nodeTimeoutMs = 1000 } = settings;
  const nodes = await Promise.all(
    Array.from({ length: masters * (1 + replicasPerMaster) }, () => startNode(settings)),
  );
  const running = () => nodes.filter((node) => node.isRunning());

  /** What the first node that runs says of all. */
  async function view(): Promise<readonly NodeView[]> {
    const [first] = running();
    if (first === undefined) throw new Error("no node runs");
    return nodesOf(first.client);
  }

  function serverOf(node: NodeView | undefined): RedisServer | undefined {
    return nodes.find(({ port }) => port === node?.port);
  }

  async function ownerOfSlot(slot: number): Promise<RedisServer> {
    const owner = serverOf(
      (await view()).find(({ slots }) => slots.some(([from, to]) => from <= slot && slot <= to)),
    );
    if (owner === undefined) throw new Error(`nobody owns slot ${slot}`);
    return owner;
  }

  async function slotOf(key: string): Promise<number> {
    const [first] = running();
    return Number(await first?.client.call("CLUSTER", "KEYSLOT", key));
  }

  async function replicaOf(master: RedisServer): Promise<RedisServer | undefined> {
    const all = await view();
    const id = all.find(({ port }) => port === master.port)?.id;
    return running().find(({ port }) => all.some((node) => node.port === port && node.master === id));
  }

  async function whyUnsettled(): Promise<string | undefined> {
    const ports = running().map(({ port }) => port);
    const roles = rolesIn(await view(), ports);
    for (const node of running()) {
      const seen = await nodesOf(node.client);
      const wrong = wrongIn(seen, ports) ?? (await wrongWith(node));
      if (wrong !== undefined) return `${node.port}: ${wrong}`;
      if (rolesIn(seen, ports) !== roles) return `some see ${rolesIn(seen, ports)}, others ${roles}`;
    }
    return undefined;
  }

  /** Masters vote once for the replicas of one master in twice the node timeout; who asks in between gets stuck. */
  let lastVote = Number.NEGATIVE_INFINITY;
  const untilVoters = () => delay(Math.max(0, lastVote + 2 * nodeTimeoutMs - performance.now()));

  const settled = () => untilNothingWrong(whyUnsettled);

  /** Takes the master of a key away. */
  async function lose(key: string, signal: "SIGKILL" | "SIGSTOP"): Promise<RedisServer> {
    const slot = await slotOf(key);
    const old = await ownerOfSlot(slot);
    const replica = await replicaOf(old);
    await untilVoters();
    await old.signal(signal);
    if (replica === undefined) {
      await untilNothingWrong(async () => {
        const states = await Promise.all(running().map(isCovered));
        return states.includes(true) ? "the cluster is not down for all" : undefined;
      });
    } else {
      await untilOwner(slot, replica);
      lastVote = performance.now();
    }
    return old;
  }

  async function loseAhead(key: string, meanwhile: () => Promise<unknown>): Promise<RedisServer> {
    const slot = await slotOf(key);
    const old = await ownerOfSlot(slot);
    const replica = await replicaOf(old);
    if (replica === undefined) throw new Error(`${old.port} has no replica`);
    await untilVoters();
    await replica.signal("SIGSTOP");
    await old.client.call("CLIENT", "KILL", "TYPE", "replica");
    await meanwhile();
    await old.signal("SIGKILL");
    await replica.signal("SIGCONT");
    await untilOwner(slot, replica);
    lastVote = performance.now();
    return old;
  }

  /** Resolves when all agree that it is the master of a slot. */
  async function untilOwner(slot: number, owner: RedisServer): Promise<void> {
    await untilNothingWrong(async () => {
      const now = await ownerOfSlot(slot);
      return now === owner ? undefined : `slot ${slot} is still with ${now.port}`;
    });
    await settled();
  }

  async function migrateSlot(key: string, to: RedisServer, { betweenKeys }: Migration = {}): Promise<void> {
    const slot = await slotOf(key);
    const from = await ownerOfSlot(slot);
    if (from === to) return;
    const setSlot = (node: RedisServer, state: string, id: string) =>
      node.client.call("CLUSTER", "SETSLOT", slot, state, id);
    const [fromId, toId] = [await idOf(from), await idOf(to)];
    await setSlot(to, "IMPORTING", fromId);
    await setSlot(from, "MIGRATING", toId);
    for (let next: string | undefined = key; next !== undefined; next = await anyKeyIn(slot, from)) {
      const reply = await from.client.migrate("127.0.0.1", to.port, next, 0, migrateTimeoutMs);
      if (reply === "OK") await betweenKeys?.(next);
    }
    // The new owner first: it may die here, and the slot is not without one then.
    await setSlot(to, "NODE", toId);
    await setSlot(from, "NODE", toId);
    const masterPorts = (await view()).filter(({ slots }) => slots.length > 0).map(({ port }) => port);
    for (const node of running()) {
      if (node !== to && node !== from && masterPorts.includes(node.port)) await setSlot(node, "NODE", toId);
    }
    await untilOwner(slot, to);
  }

  await join(nodes, masters);
  await settled();
  return {
    uri: `redis-cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join()}`,
    nodes,
    ownerOf: async (key) => ownerOfSlot(await slotOf(key)),
    replicaOf,
    migrateSlot,
    failover: async (master) => {
      const replica = await replicaOf(master);
      const slot = (await view()).find(({ port }) => port === master.port)?.slots[0]?.[0];
      if (replica === undefined || slot === undefined)
        throw new Error(`${master.port} has no replica or no slot`);
      await untilVoters();
      await replica.client.call("CLUSTER", "FAILOVER");
      await untilOwner(slot, replica);
      lastVote = performance.now();
      return replica;
    },
    killMaster: (key) => lose(key, "SIGKILL"),
    killMasterAhead: loseAhead,
    freezeMaster: (key) => lose(key, "SIGSTOP"),
    restart: async (server) => {
      await server.start();
      await settled();
    },
    settled,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

function startNode({ args = [], nodeTimeoutMs = 1000 }: ClusterSettings): Promise<RedisServer> {
  return startRedis(async () => [
    ...["--cluster-enabled", "yes", "--cluster-node-timeout", `${nodeTimeoutMs}`],
    // By default 10,000 above the other, which may be too high.
    ...["--cluster-port", `${await freePort()}`],
    // A replica may take over however long it has been alone, and has not to wait before it copies.
    ...["--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"],
    ...args,
  ]);
}

/** Gives each master its share of the slots and lets all meet; each of the rest follows a master. */
async function join(nodes: readonly RedisServer[], masters: number): Promise<void> {
  const [first] = nodes;
  if (first === undefined) throw new Error("no nodes");
  const [, firstBus = ""] = await first.client.config("GET", "cluster-port");
  for (const [index, { client }] of nodes.entries()) {
    if (index < masters) {
      const from = Math.floor((allSlots * index) / masters);
      const to = Math.floor((allSlots * (index + 1)) / masters) - 1;
      await client.call("CLUSTER", "ADDSLOTSRANGE", from, to);
    }
    await client.call("CLUSTER", "SET-CONFIG-EPOCH", index + 1);
    if (index > 0) await client.call("CLUSTER", "MEET", "127.0.0.1", first.port, firstBus);
  }
  const ports = nodes.map(({ port }) => port);
  for (const [index, { client }] of nodes.entries()) {
    await untilNothingWrong(async () => wrongIn(await nodesOf(client), ports));
    const master = nodes[index % masters];
    if (index >= masters && master !== undefined) {
      await client.call("CLUSTER", "REPLICATE", await idOf(master));
    }
  }
}

async function idOf({ client }: RedisServer): Promise<string> {
  return `${await client.call("CLUSTER", "MYID")}`;
}

async function isCovered({ client }: RedisServer): Promise<boolean> {
  return `${await client.call("CLUSTER", "INFO")}`.includes("cluster_state:ok");
}

async function wrongWith(node: RedisServer): Promise<string | undefined> {
  if (!(await isCovered(node))) return "the cluster is down";
  const info = await node.client.info("replication");
  return info.includes("role:master") || info.includes("master_link_status:up") ? undefined : "not in sync";
}

async function anyKeyIn(slot: number, { client }: RedisServer): Promise<string | undefined> {
  const keys = await client.call("CLUSTER", "GETKEYSINSLOT", slot, 1);
  return Array.isArray(keys) && keys.length > 0 ? `${keys[0]}` : undefined;
}
