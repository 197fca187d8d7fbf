import { lastValueFrom, type Observable, VirtualTimeScheduler } from "rxjs";
import { isRxaddError } from "../../src/index.ts";
import { type Connection, openConnection } from "../../src/redis/publish/publishConnection.ts";
import type { EntryContent, LaneKeys, NumberedBatch } from "../../src/redis/publish/publishPort.ts";
import type { TrimOptions } from "../../src/redis/publish/trimming.ts";
import { BulkWriter } from "../../src/redis/wire/bulk.ts";
import { type FakeEntry, fakeRedis } from "../../src/testing/index.ts";
import type { RedisServer } from "../kit/servers/redisServer.ts";

/** Why a server refuses to write. */
type Refusal = "memory" | "replica";

/** A server under test: what is done to it beside publishing, and what it holds. */
export interface Bed {
  readonly connection: Connection;
  readonly add: (stream: string, event: string) => Promise<unknown>;
  readonly del: (key: string) => Promise<unknown>;
  readonly occupy: (key: string) => Promise<unknown>;
  /** From now on it writes nothing; undefined: it does again. */
  readonly refuse: (why: Refusal | undefined) => Promise<unknown>;
  readonly entries: (stream: string) => Promise<readonly FakeEntry[]>;
  /** Lets what was sent be done, where time does not go by itself. */
  readonly settle: () => void;
  readonly close: () => void;
}

const settings = {
  name: "contract",
  publish: "script",
  durability: undefined,
  tls: undefined,
  sentinel: undefined,
  connectTimeoutMs: 1000,
  sendTimeoutMs: 1000,
} as const;

/** When in each 30 ms of its clock the server in memory begins to be so. */
const begins = { well: 0, memory: 10, replica: 20 };

/** A server in memory. */
export function fake(trim?: TrimOptions): Bed {
  const clock = new VirtualTimeScheduler(undefined, 0);
  const redis = fakeRedis({ latencyMs: 0, replies: "o 9ms m 9ms r 9ms ".repeat(30), scheduler: clock });
  const connection = openConnection({ ...settings, trim, server: { connection: redis } });
  return {
    connection,
    add: async (key, event) => redis.xadd(key, "event", event),
    del: async (key) => redis.del(key),
    occupy: async (key) => redis.set(key),
    refuse: async (why) => {
      const before = clock.frame - (clock.frame % 30) + begins[why ?? "well"];
      clock.maxFrames = before < clock.frame ? before + 30 : before;
      clock.flush();
    },
    entries: async (key) => redis.entries(key),
    settle: () => clock.flush(),
    close: () => connection.unsubscribe(),
  };
}

/** A real server. */
export function real({ uri, client }: RedisServer, publish: "script" | "multi", trim?: TrimOptions): Bed {
  const connection = openConnection({ ...settings, publish, trim, server: { uri } });
  let maxMemory = "0";
  /** What a test puts there is there, also while the sink's writes are refused. */
  const put = async (write: () => Promise<unknown>) => {
    await client.config("SET", "maxmemory", "0");
    await write().finally(() => client.config("SET", "maxmemory", maxMemory));
  };
  return {
    connection,
    add: (key, event) => put(() => client.xadd(key, "*", "event", event)),
    del: (key) => client.del(key),
    occupy: (key) => put(() => client.set(key, "text")),
    refuse: async (why) => {
      maxMemory = why === "memory" ? "1" : "0";
      await client.config("SET", "maxmemory", maxMemory);
      await (why === "replica" ? client.replicaof("127.0.0.1", "1") : client.replicaof("NO", "ONE"));
    },
    entries: async (key) =>
      (await client.type(key)) === "stream"
        ? (await client.xrange(key, "-", "+")).map(([entryId, content]) => ({ entryId, content }))
        : [],
    settle: () => {},
    close: () => connection.unsubscribe(),
  };
}

/** Makes a real server write again, and forget everything. */
export async function reset({ client }: RedisServer): Promise<void> {
  await client.replicaof("NO", "ONE");
  await client.config("SET", "maxmemory", "0");
  await client.flushall();
}

const writer = new BulkWriter();

/** An entry with the field `event` alone. */
export function entry(text: string, where: string): EntryContent {
  return { stream: where, ...writer.writeOne(text) };
}

/** An entry of these names and values, alternating. */
export function entryOf(words: readonly string[], where: string): EntryContent {
  return { stream: where, ...writer.write(words) };
}

/** What a step answers. */
export async function exactly({ settle }: Bed, step$: Observable<object>): Promise<object> {
  const step = lastValueFrom(step$);
  settle();
  try {
    return await step;
  } catch (error) {
    if (!isRxaddError(error)) throw error;
    return { refused: error._tag };
  }
}

/** The same, with entry IDs, which no two servers share, as whether there is one. */
async function answer(bed: Bed, step$: Observable<object>): Promise<object> {
  const found = await exactly(bed, step$);
  return "entryId" in found ? { ...found, entryId: found.entryId !== "" } : found;
}

/** Opens a lane. */
export function open(bed: Bed, owner: string, keys: LaneKeys, adopt = false): Promise<object> {
  return answer(bed, bed.connection.publishPort.open(keys, owner, adopt));
}

/** Publishes a batch. */
export function publish(bed: Bed, sent: NumberedBatch, keys: LaneKeys): Promise<object> {
  return answer(bed, bed.connection.publishPort.publish(keys, sent));
}

/** The names and values of a stream's entries. */
export async function contents(bed: Bed, key: string): Promise<readonly (readonly string[])[]> {
  return (await bed.entries(key)).map(({ content }) => content);
}
