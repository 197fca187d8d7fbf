import { fork } from "node:child_process";
import { once } from "node:events";
import { Redis } from "ioredis";
import { bundled } from "../../test/kit/program/bundled.ts";
import type { Row } from "../row.ts";
import type { Settings } from "../section.ts";

/** What a process that publishes 5 million events holds, as it goes on. */
export async function* memory({ uri }: Settings): AsyncGenerator<Row> {
  const stream = `rxadd-bench-${process.pid}`;
  const program = await bundled(new URL("../memoryProcess.ts", import.meta.url));
  const child = fork(program, [uri, stream], { execArgv: [] });
  const samples: Row[] = [];
  child.on("message", (sample: Row) => samples.push({ ...sample, section: "memory", name: "rxadd" }));
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`the process that publishes ended with exit code ${code}`);
  const redis = new Redis(uri);
  await redis.del(stream, `{${stream}}:rxadd:bench`);
  await redis.quit();
  yield* samples;
}
