import { Redis } from "ioredis";
import type { Direction } from "../../kit/network/tcpProxy.ts";
import { startValve, type Valve } from "../../kit/network/valve.ts";
import type { RedisServer } from "../../kit/servers/redisServer.ts";
import { stuckMs } from "../patience.ts";
import type { Content, Keys, Line, World } from "./world.ts";
import { sinkId } from "./writer.ts";

/** A sink on a server of its own kind. */
export interface RealKind {
  readonly publish: "script" | "multi";
  /** How many streams the sink computes; 1: it has a fixed one. */
  readonly streams: number;
  /** A replica has to have each batch. */
  readonly isDurable?: boolean;
  /** The process brings its own connection, which has selected this database. */
  readonly db?: number;
}

/** What a key is renamed to begins with it. */
const aside = "aside:";

/** A real server, for one history: it is emptied first. */
export async function realWorld(server: RedisServer, kind: RealKind): Promise<World> {
  const state = kind.streams === 1 ? `{s}:rxadd:${sinkId}` : `rxadd:${sinkId}`;
  const keys: Keys = {
    streams: Array.from({ length: kind.streams }, (_, index) => (kind.streams === 1 ? "s" : `s${index}`)),
    states: [state],
    marks: [`${state}:mark`],
  };
  const db = kind.db ?? 0;
  const view = db === 0 ? server.client : server.client.duplicate({ db });
  if (view !== server.client)
    view.on("error", () => {
      // Who restarts the server knows.
    });
  let copy: ReadonlyMap<string, Buffer> = new Map();
  await server.client.flushall();

  const contents = () => Promise.all(keys.streams.map((key) => contentOf(view, key)));
  const flush = () => losing(view, keys.streams, [emptied]);
  const killAll = () => server.client.call("CLIENT", ["KILL", "TYPE", "normal", "SKIPME", "yes"]);

  return {
    keys,
    settings: {
      publish: kind.publish,
      ...(kind.isDurable && { durability: { replicas: 1, timeoutMs: 1000 } }),
    },
    connect: () => connect(server, kind.db),
    contents,
    positions: () => Promise.all(keys.states.map((key) => positionOf(view, key))),
    astray: async () => {
      const others = db === 0 ? undefined : await server.client.keys("*");
      return others?.length ? `found ${others} in database 0, the connection has selected ${db}` : undefined;
    },
    ...inRealTime,
    flush,
    restart: async (keepsData) => {
      const before = keepsData ? await contents() : await flush();
      // It saves what it has at its end, and nothing comes after that.
      await server.client.config("SET", "save", "3600 1");
      await server.signal("SIGTERM");
      await server.start();
      await server.client.ping();
      return before;
    },
    lag: async () => {
      copy = await copyOf(view);
    },
    failover: async () => {
      const before = await losing(view, keys.streams, [["FLUSHDB"], ...restored(copy)]);
      await killAll();
      return before;
    },
    remove: (key, how) => losing(view, keys.streams, [removed(key, how)]),
    exhaust: (key, left) => exhaust(view, key, left),
    close: async () => {
      if (view !== server.client) view.disconnect();
    },
  };
}

/** What all worlds on real servers have alike. */
export const inRealTime: Pick<World, "until" | "pass" | "begin" | "lose"> = {
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
  // They forget in other ways.
  lose: async () => {},
};

/** A command and its arguments. */
export type Command = readonly (string | Buffer)[];

export const emptied: Command = ["FLUSHALL"];

/** A key is taken away: for good, or to another name. */
export function removed(key: string, how: "delete" | "rename"): Command {
  return how === "delete" ? ["DEL", key] : ["RENAME", key, `${aside}${key}`];
}

/** What a replica has takes the place of what is there. */
export function restored(copy: ReadonlyMap<string, Buffer>): readonly Command[] {
  return [...copy].map(([key, dump]) => ["RESTORE", key, "0", dump]);
}

const copyScript = `
local copy = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  copy[#copy + 1] = key
  copy[#copy + 1] = redis.call('DUMP', key)
end
return copy`;

/** All that a server has at one moment: also what a sink keeps beside its streams. */
export async function copyOf(client: Redis): Promise<ReadonlyMap<string, Buffer>> {
  const found = await client.callBuffer("EVAL", copyScript, 0);
  const copy = new Map<string, Buffer>();
  if (Array.isArray(found))
    for (let at = 0; at < found.length; at += 2) copy.set(String(found[at]), found[at + 1]);
  return copy;
}

/** ARGV: how many streams, they, and commands, each after its length. A script may touch keys of several slots. */
const loseScript = `
local before, at = {}, tonumber(ARGV[1]) + 2
for i = 2, at - 1 do
  before[i - 1] = redis.call('TYPE', ARGV[i]).ok == 'stream' and redis.call('XRANGE', ARGV[i], '-', '+') or {}
end
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  redis.pcall(unpack(ARGV, at + 1, last))
  at = last + 1
end
return before`;

/** Loses something, at one moment; resolves with what the streams held just before. */
export async function losing(
  client: Redis,
  streams: readonly string[],
  lose: readonly Command[],
): Promise<readonly Content[]> {
  const commands = lose.flatMap((command) => [`${command.length}`, ...command]);
  const before = await client.eval(loseScript, 0, `${streams.length}`, ...streams, ...commands);
  return (Array.isArray(before) ? before : []).map(numbersOf);
}

function numbersOf(entries: unknown): Content {
  return (Array.isArray(entries) ? entries : []).map(([, fields]) => Number(fields[1]));
}

/** Lets the process do what waits. */
export function turn(): Promise<void> {
  return new Promise((next) => setImmediate(next));
}

/** The numbers in a stream. */
export async function contentOf(client: Redis, key: string): Promise<readonly number[]> {
  if ((await client.type(key)) !== "stream") return [];
  return numbersOf(await client.xrange(key, "-", "+"));
}

/** Leaves a stream so many IDs. */
export async function exhaust(client: Redis, key: string, left: number): Promise<void> {
  const most = 2n ** 64n - 1n;
  if ((await client.type(key)) === "stream")
    await client.call("XSETID", key, `${most}-${most - BigInt(left)}`).catch(() => {
      // It has fewer left already.
    });
}

/** The position in a producer state; undefined: there is none. */
export async function positionOf(client: Redis, key: string): Promise<number | undefined> {
  const position = await client.hget(key, "position");
  return position === null ? undefined : Number(position);
}

/** A process' own way to the server; with a database, by a connection that has selected it. */
export async function connect(server: Pick<RedisServer, "port">, db?: number): Promise<Line> {
  const valve: Valve = await startValve(server.port);
  const shut = new Set<Direction>();
  const line = {
    hold: (direction: Direction) => {
      shut.add(direction);
      valve.hold(direction);
    },
    release: () => {
      shut.clear();
      valve.release();
    },
    isHeld: () => shut.size > 0,
    cut: valve.cut,
    retarget: valve.retarget,
  };
  if (db === undefined)
    return { ...line, server: { uri: `redis://127.0.0.1:${valve.port}` }, close: valve.stop };

  const connection = new Redis(valve.port, "127.0.0.1", {
    maxRetriesPerRequest: 0,
    retryStrategy: () => 5,
  });
  connection.on("error", () => {
    // The sink says it.
  });
  // After a reconnect ioredis selects again by itself, and leaves a failure of that unhandled.
  const select = connection.select.bind(connection);
  connection.select = (index) => {
    const selected = select(index);
    selected.catch(() => {});
    return selected;
  };
  await connection.select(db);
  return {
    ...line,
    server: { connection },
    close: async () => {
      connection.disconnect();
      await valve.stop();
    },
  };
}
