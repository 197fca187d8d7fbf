import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { untilNothingWrong } from "../time/untilNothingWrong.ts";
import { openClient, type RedisServer, startRedis } from "./redisServer.ts";
import { viewOf, wrongIn } from "./sentinelView.ts";
import { type ServerProcess, startServerProcess } from "./serverProcess.ts";

/** What to start. */
export interface SentinelSettings {
  readonly replicas?: number;
  readonly sentinels?: number;
  /** A server that is silent for so long is down. Default 500 ms. */
  readonly downAfterMs?: number;
  /** Settings of the master and of its replicas. */
  readonly redisArgs?: readonly string[];
  /** Of the master and of its replicas. */
  readonly password?: string;
  /** Of the Sentinels. */
  readonly sentinelPassword?: string;
  /**
   * How often Sentinels tell each other what they know. Default 250 ms. A master that comes back, or that `failover`
   * has deposed, stays a master for four times as long: 1 s here, 8 s with Sentinel's own 2000.
   */
  readonly publishPeriodMs?: number;
}

/**
 * A master, its replicas and the Sentinels that watch them. What changes the master resolves in a state in which
 * the next change works at once, with the server that was the master.
 */
export interface SentinelServers {
  /** What the Sentinels call the master. */
  readonly name: string;
  /** Of the Sentinels. */
  readonly ports: readonly number[];
  /** `redis-sentinel://host:port,host:port/name`. */
  readonly uri: string;
  /** The first master and its replicas; `stop` ends them. */
  readonly servers: readonly RedisServer[];
  readonly sentinels: readonly ServerProcess[];
  /** What the Sentinels call the master now. */
  readonly master: () => Promise<RedisServer>;
  /** Tells the Sentinels to put a replica in the master's place; the master then follows that replica. */
  readonly failover: () => Promise<RedisServer>;
  /** Kills the master; resolves when a replica is in its place. */
  readonly killMaster: () => Promise<RedisServer>;
  /** Freezes the master; resolves when a replica is in its place. The frozen one may wake up by SIGCONT, as a master. */
  readonly freezeMaster: () => Promise<RedisServer>;
  /** Brings back a server that was killed or frozen, as a replica of the present master. */
  readonly restart: (server: RedisServer) => Promise<void>;
  /**
   * The master gives nothing to its replicas any more, and goes on with its clients and the Sentinels: what it
   * acknowledges from now on is lost with it. The next change of master ends that. It has to begin within
   * `downAfterMs` times 10: Sentinel takes no replica that has been alone for longer.
   */
  readonly cutReplication: () => Promise<void>;
  /** Resolves when all servers that are neither killed nor frozen replicate, and all Sentinels agree on that. */
  readonly settled: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

const name = "rxadd";

/** Starts a master, replicas and Sentinels; resolves when they know each other and replicate. */
export async function startSentinels(settings: SentinelSettings = {}): Promise<SentinelServers> {
  const servers = await startServers(settings);
  const [first] = servers;
  if (first === undefined) throw new Error("no master");
  const started = await Promise.all(
    Array.from({ length: settings.sentinels ?? 3 }, () => startSentinel(first.port, settings)),
  );
  const sentinels = started.map(({ sentinel }) => sentinel);
  const clients = started.map(({ client }) => client);
  const ports = sentinels.map(({ port }) => port);

  /** Each Sentinel's word on it. */
  async function masters(): Promise<readonly (RedisServer | undefined)[]> {
    const replies = await Promise.all(
      clients.map((client) => client.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)),
    );
    return replies.map((reply) => servers.find(({ port }) => Array.isArray(reply) && reply[1] === `${port}`));
  }

  async function master(): Promise<RedisServer> {
    const [server] = await masters();
    if (server === undefined) throw new Error("the Sentinels name a master that is none of these servers");
    return server;
  }

  async function whyUnsettled(): Promise<string | undefined> {
    const [now, ...others] = await masters();
    if (now === undefined || others.some((other) => other !== now)) return "the Sentinels disagree";
    if (!now.isRunning()) return "the master is away";
    const replicas = servers.filter((server) => server !== now && server.isRunning());
    const replicating = await wrongInReplication(now, replicas);
    if (replicating !== undefined) return replicating;
    for (const client of clients) {
      const view = await viewOf(client, name);
      if (view.sentinels.length < clients.length - 1) return "the Sentinels do not know each other";
      const wrong = wrongIn(
        view,
        replicas.map(({ port }) => port),
      );
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  const settled = () => untilNothingWrong(whyUnsettled);

  /** Resolves when another server is the master, with the one that was. */
  async function change(depose: (old: RedisServer) => Promise<unknown>): Promise<RedisServer> {
    const old = await master();
    await depose(old);
    await untilNothingWrong(async () =>
      (await masters()).includes(old) ? `${old.port} is still the master of some` : undefined,
    );
    for (const server of servers.filter((server) => server.isRunning())) await allowReplication(server);
    await settled();
    return old;
  }

  /** On a busy machine a Sentinel may have looked at the replicas too long ago to choose one. */
  async function whyNoFailover(): Promise<string | undefined> {
    try {
      await clients[0]?.call("SENTINEL", "FAILOVER", name);
      return undefined;
    } catch (error) {
      if (error instanceof Error && error.message.startsWith("NOGOODSLAVE ")) return error.message;
      throw error;
    }
  }

  await settled();
  return {
    name,
    ports,
    uri: `redis-sentinel://${ports.map((port) => `127.0.0.1:${port}`).join()}/${name}`,
    servers,
    sentinels,
    master,
    failover: () => change(() => untilNothingWrong(whyNoFailover)),
    killMaster: () => change((old) => old.signal("SIGKILL")),
    freezeMaster: () => change((old) => old.signal("SIGSTOP")),
    restart: async (server) => {
      await server.start();
      const now = await master();
      await allowReplication(server);
      if (server !== now) await onceLoaded(() => server.client.replicaof("127.0.0.1", now.port));
      await settled();
    },
    cutReplication: async () => {
      const { client } = await master();
      await client.acl("SETUSER", "default", "-psync", "-sync");
      await client.call("CLIENT", "KILL", "TYPE", "replica");
    },
    settled,
    stop: async () => {
      for (const client of clients) client.disconnect();
      await Promise.all(sentinels.map((sentinel) => sentinel.stop()));
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

/** The master is the first. */
async function startServers({ replicas = 2, redisArgs = [], password = "" }: SentinelSettings) {
  const args = ["--masterauth", password, "--repl-diskless-sync-delay", "0", ...redisArgs];
  const master = await startRedis(args, password);
  const following = [...args, "--replicaof", `127.0.0.1 ${master.port}`];
  const others = await Promise.all(Array.from({ length: replicas }, () => startRedis(following, password)));
  // A Sentinel learns of replicas from the master: it should see them at the first look.
  await untilNothingWrong(() => wrongInReplication(master, others));
  return [master, ...others];
}

async function startSentinel(masterPort: number, settings: SentinelSettings) {
  const { replicas = 2, sentinels = 3, downAfterMs = 500, password = "", sentinelPassword = "" } = settings;
  const sentinel = await startServerProcess({
    args: (port, folder) => {
      const file = join(folder, "sentinel.conf");
      const lines = [
        `port ${port}`,
        "bind 127.0.0.1",
        `dir ${folder}`,
        `sentinel monitor ${name} 127.0.0.1 ${masterPort} ${Math.floor(sentinels / 2) + 1}`,
        `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
        // A change that fails is tried again after twice as long; one that succeeds may be followed at once.
        `sentinel failover-timeout ${name} 3000`,
        `sentinel parallel-syncs ${name} ${replicas}`,
        ...(password === "" ? [] : [`sentinel auth-pass ${name} ${password}`]),
        ...(sentinelPassword === ""
          ? []
          : [`requirepass ${sentinelPassword}`, `sentinel sentinel-pass ${sentinelPassword}`]),
      ];
      writeFileSync(file, `${lines.join("\n")}\n`);
      return [file, "--sentinel"];
    },
    ready: "Sentinel ID is",
  });
  const client = openClient(sentinel.port, { password: sentinelPassword, enableReadyCheck: false });
  // A ping must come well before its silence counts, or each change of master looks like the next fault; yet a look
  // at a replica, at most one a second then, is too old after five pings. The rest is what tests need not wait for:
  // a look at each server every 10 s only, 30 s of rest after a stall of its own.
  const periods = {
    "ping-period": 250,
    "ask-period": 250,
    "info-period": 250,
    "tilt-period": 1000,
    "publish-period": settings.publishPeriodMs ?? 250,
  };
  await client.call("SENTINEL", "DEBUG", ...Object.entries(periods).flat());
  return { sentinel, client };
}

async function wrongInReplication(
  master: RedisServer,
  replicas: readonly RedisServer[],
): Promise<string | undefined> {
  const info = await master.client.info("replication");
  if (!info.includes("role:master")) return `${master.port} is no master`;
  for (const replica of replicas) {
    const own = await replica.client.info("replication");
    if (!own.includes(`master_port:${master.port}\r\n`)) return `${replica.port} has another master`;
    if (!own.includes("master_link_status:up")) return `${replica.port} has lost its master`;
    if (!info.includes(`port=${replica.port},state=online`)) return `${replica.port} is not in sync`;
  }
  return undefined;
}

/** Undoes `cutReplication`. */
function allowReplication({ client }: RedisServer): Promise<void> {
  return onceLoaded(() => client.acl("SETUSER", "default", "+psync", "+sync"));
}

/** Tells a server something, which may load just now what its master has sent. */
function onceLoaded(tell: () => Promise<unknown>): Promise<void> {
  return untilNothingWrong(async () => {
    await tell();
    return undefined;
  });
}
