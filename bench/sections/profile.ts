import { fork } from "node:child_process";
import { once } from "node:events";
import { Redis } from "ioredis";
import { type Row, rounded } from "../row.ts";
import type { Settings } from "../section.ts";

/** One function of V8's profile, as called by one chain of callers. */
interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Where a function is at home. */
type Home = "rxadd" | "rxjs" | "ioredis" | "Node" | "garbage collection" | "idle" | "bench";

/** Time spent in a function itself, with its callers, outermost first. */
interface Stack {
  readonly frames: readonly { readonly home: Home; readonly name: string }[];
  readonly us: number;
}

function homeOf({ callFrame: { functionName, url } }: ProfileNode): Home {
  if (functionName === "(garbage collector)") return "garbage collection";
  if (functionName === "(idle)") return "idle";
  if (url.includes("/node_modules/rxjs/")) return "rxjs";
  if (/\/node_modules\/(ioredis|redis-parser|denque|standard-as-callback|@ioredis)\//.test(url))
    return "ioredis";
  if (url.includes("/bench/") || url.includes("/node_modules/")) return "bench";
  if (url.startsWith("file:")) return "rxadd";
  return "Node";
}

/** Runs the sink in a process of its own under V8's sampling profiler. */
async function profile({ uri, events }: Settings): Promise<Profile> {
  const stream = `rxadd-bench-${process.pid}`;
  const program = new URL("../profileProcess.ts", import.meta.url);
  const [found] = await once(fork(program, [uri, stream, `${events}`]), "message");
  const redis = new Redis(uri);
  await redis.flushall();
  await redis.quit();
  return found;
}

/** The stacks of a profile, but for those in which the bench makes its events or starts. */
function stacksOf({ nodes, samples, timeDeltas }: Profile): readonly Stack[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const selfUs = new Map<number, number>();
  samples.forEach((id, index) => {
    selfUs.set(id, (selfUs.get(id) ?? 0) + (timeDeltas[index] ?? 0));
  });

  function framesOf(id: number): Stack["frames"] {
    const frames: Stack["frames"][number][] = [];
    for (let at: number | undefined = id; at !== undefined; at = callers.get(at)) {
      const node = byId.get(at);
      if (node === undefined || node.callFrame.functionName === "(root)") break;
      frames.unshift({ home: homeOf(node), name: node.callFrame.functionName || "(anonymous)" });
    }
    return frames;
  }
  return [...selfUs]
    .map(([id, us]) => ({ frames: framesOf(id), us }))
    .filter(
      ({ frames }) => frames.some(({ home }) => home !== "bench" && home !== "Node") || isNative(frames),
    );
}

/** Native code without a caller in JavaScript: reading from the socket, for the most part. */
function isNative(frames: Stack["frames"]): boolean {
  return frames.length === 1 && frames[0]?.name === "(program)";
}

/** Where the time of one event goes, on the side of Node. */
export async function* profiled(settings: Settings): AsyncGenerator<Row> {
  const stacks = stacksOf(await profile(settings));
  const sums = new Map<Home, number>();
  for (const { frames, us } of stacks) {
    const home = frames.at(-1)?.home ?? "Node";
    sums.set(home, (sums.get(home) ?? 0) + us);
  }
  for (const [home, us] of [...sums].sort(([, a], [, b]) => b - a)) {
    yield { section: "profile", name: home, "µs/event": rounded(us / settings.events, 3) };
  }
}

/** The same as folded stacks, for a flame graph; frames of one library in a row are one frame. */
export async function* flame(settings: Settings): AsyncGenerator<Row> {
  const folded = new Map<string, number>();
  for (const { frames, us } of stacksOf(await profile(settings))) {
    const names = frames.map(({ home, name }) => (home === "rxadd" ? name : home));
    const path = names.filter((name, index) => name !== names[index - 1]).join(";");
    folded.set(path, (folded.get(path) ?? 0) + us);
  }
  for (const [name, us] of folded) {
    const each = rounded(us / settings.events, 4);
    if (each >= 0.001) yield { section: "flame", name, "µs/event": each };
  }
}
