import { existsSync, mkdirSync, rmdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { RedisServer } from "../kit/servers/redisServer.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";
import {
  type AppendOnlyFile,
  appendOnlyFileOf,
  cutEnd,
  cutInsideTransaction,
  fix,
  noCheckAof,
  sizeOf,
} from "./harness/appendOnlyFile.ts";
import { exactlyOnce, fault, faults } from "./harness/fault.ts";
import { type OneServer, oneServer } from "./harness/oneServer.ts";

/** A server that writes to its disk later than it answers; its file is rewritten only when told. */
const everySecond = [
  "--appendonly",
  "yes",
  "--appendfsync",
  "everysec",
  "--auto-aof-rewrite-percentage",
  "0",
];

/** A power loss loses at most this, in bytes. */
const mostLost = 60_000;

async function persistence({ client }: RedisServer, line: string): Promise<boolean> {
  return (await client.info("persistence")).includes(line);
}

async function save({ client, ...server }: RedisServer): Promise<void> {
  await client.bgsave();
  await waitUntil(() => persistence({ client, ...server }, "rdb_bgsave_in_progress:0"));
}

async function rewrite(server: RedisServer): Promise<void> {
  await server.client.bgrewriteaof();
  await waitUntil(() => persistence(server, "aof_rewrite_in_progress:0"));
  expect(await persistence(server, "aof_last_bgrewrite_status:ok")).toBe(true);
}

/** Kills the server when its file is long enough to lose its end, and does that to the file. */
async function loseEnd(server: RedisServer, lose: (aof: AppendOnlyFile) => void): Promise<AppendOnlyFile> {
  const aof = await appendOnlyFileOf(server.client);
  await waitUntil(() => sizeOf(aof) > mostLost);
  await server.signal("SIGKILL");
  lose(aof);
  return aof;
}

async function restart(server: RedisServer): Promise<void> {
  await server.signal("SIGKILL");
  await server.start();
}

/** A server, and how many entries stand twice in it by its own doing. */
interface Doubling extends OneServer {
  doubled: number;
}

faults("persistence", () => {
  fault({
    fault: "MISCONF: it cannot save its RDB file",
    times: { short: 3, long: 15 },
    bed: () => oneServer(["--save", "3600 1000000000"]),
    inject: async ({ bed, load }) => {
      const [, folder = ""] = (await bed.server.client.config("GET", "dir")) as string[];
      const inTheWay = join(folder, "dump.rdb");
      rmSync(inTheWay, { force: true });
      mkdirSync(inTheWay);
      const told = load.retrying("PersistenceFailing");
      await save(bed.server);
      await told;
      rmdirSync(inTheWay);
      await save(bed.server);
    },
  });

  fault({
    fault: "MISCONF: no space left for its append-only file",
    skip: existsSync("/dev/full") ? undefined : "/dev/full is not there",
    times: { short: 2, long: 12 },
    bed: () => oneServer(everySecond),
    inject: async ({ bed, load }) => {
      const { next } = await appendOnlyFileOf(bed.server.client);
      symlinkSync("/dev/full", next);
      const told = load.retrying("PersistenceFailing");
      await rewrite(bed.server);
      await told;
      await rewrite(bed.server);
      await waitUntil(() => persistence(bed.server, "aof_last_write_status:ok"));
    },
  });

  fault({
    fault: "NOREPLICAS: fewer replicas than min-replicas-to-write",
    times: { short: 5, long: 25 },
    bed: () => oneServer(),
    inject: async ({ bed, load }) => {
      const told = load.retrying("NotEnoughReplicas");
      await bed.server.client.config("SET", "min-replicas-to-write", 1);
      await told;
      await bed.server.client.config("SET", "min-replicas-to-write", 0);
    },
  });

  fault<OneServer>({
    fault: "power loss, then redis-check-aof --fix",
    skip: noCheckAof,
    times: { short: 3, long: 15 },
    bed: () => oneServer(everySecond),
    inject: async ({ bed, load, random }) => {
      const aof = await loseEnd(bed.server, (file) => cutEnd(file, random.between(1, mostLost)));
      fix(aof);
      await bed.server.start();
      await load.progress(3);
      await restart(bed.server);
    },
  });

  fault<OneServer>({
    fault: "power loss, then BGREWRITEAOF after the start",
    times: { short: 3, long: 15 },
    bed: () => oneServer(everySecond),
    inject: async ({ bed, load, random }) => {
      await loseEnd(bed.server, (aof) => cutEnd(aof, random.between(1, mostLost)));
      await bed.server.start();
      await rewrite(bed.server);
      await load.progress(3);
      await restart(bed.server);
    },
  });

  // A file that ends inside a command inside MULTI is cut only behind the last whole command. The open MULTI
  // stays, and the next restart runs what is in it: XADDs of a batch that was undone, and was sent again since.
  fault<Doubling>({
    fault: "power loss inside a transaction, neither of these done",
    times: { short: 2, long: 10 },
    bed: async () => ({ ...(await oneServer(everySecond)), doubled: 0 }),
    inject: async ({ bed, load, random }) => {
      await loseEnd(bed.server, (aof) => {
        bed.doubled += cutInsideTransaction(aof, (most) => random.between(1, most));
      });
      await bed.server.start();
      await load.progress(3);
      await restart(bed.server);
    },
    promise: {
      text: "0 lost, 0 inversions; Redis itself doubles entries, unless redis-check-aof --fix comes first",
      holds: (found, events) =>
        exactlyOnce.holds({ ...found, entries: found.entries - found.duplicates, duplicates: 0 }, events),
    },
    afterwards: ({ bed, found }) => expect([bed.doubled, 0]).toContain(found.duplicates),
  });
});
