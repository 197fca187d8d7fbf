import type { Subscription } from "rxjs";
import { fanOut, redisSink, replicate, type Status } from "../../src/index.ts";
import { ForgettingLog, type LogEvent } from "../support/forgettingLog.ts";
import { type Bed, idOf, stepMs, streamOf } from "./sourceBeds.ts";
import { type Happening, type History, mayBeRefused, type Policy, sinksOf } from "./sourceHistory.ts";

/** One life of the process. */
interface Life {
  readonly errors: readonly unknown[];
  readonly isBehind: (sink: number) => boolean;
  readonly running: Subscription;
}

/** How a history ended: with an error, with sinks that are behind, or with everything everywhere; or what is wrong. */
export interface Ending {
  readonly as: "refused" | "behind" | "whole" | "wrong";
  readonly wrong: string | undefined;
}

/** How the pipelines of a model are run. */
export interface Pipeline {
  /** Whether the source compares where it is asked to begin with a mark that outlives the process. */
  readonly remembers: boolean;
}

/** Runs a history, then starts it twice more, and looks at each of these starts. */
export async function runHistory(history: History, bed: Bed, { remembers }: Pipeline): Promise<Ending> {
  const { policy, happenings } = history;
  const log = new ForgettingLog();
  /** Everything that some sink ought to have. */
  const owed: number[] = [];
  const append = (events: number) => {
    for (let count = 0; count < events; count += 1) owed.push(log.append().position);
  };
  /** What each sink may lack: what came before its first run, and what was accepted to be missing. */
  const floors = [0, 0, 0];
  const down = new Set<number>();
  let life = await start(false);

  async function start(acceptHole: boolean): Promise<Life> {
    const isStanding = await bed.standing();
    const begun = (mark: number, isAccepted: boolean): void => {
      const isKnown = [...floors.keys()].some((sink) => isStanding(sink) && !down.has(sink));
      for (const sink of floors.keys())
        if (isAccepted || (!isKnown && !isStanding(sink))) floors[sink] = mark;
    };
    return startLife(bed, policy, log.source({ acceptHole, remembers, begun }));
  }

  async function take(happening: Happening): Promise<void> {
    switch (happening.do) {
      case "append":
        append(happening.events);
        break;
      case "idle":
        log.idle();
        break;
      case "restart":
        life.running.unsubscribe();
        life = await start(happening.acceptHole);
        break;
      case "crash":
        append(happening.events);
        await bed.advance(happening.ms);
        life.running.unsubscribe();
        await bed.advance(stepMs - happening.ms);
        return;
      case "dropMark":
        // A slot that is read cannot be dropped.
        life.running.unsubscribe();
        log.dropMark();
        break;
      case "down":
        down.add(happening.sink);
        break;
      case "up":
        down.delete(happening.sink);
        break;
      default:
        break;
    }
    await bed.advance(stepMs);
  }

  await bed.advance(stepMs);
  for (const happening of happenings) {
    await bed.happen(happening);
    await take(happening);
  }
  life.running.unsubscribe();
  down.clear();
  await bed.advance(stepMs);

  for (const attempt of [1, 2]) {
    life = await start(false);
    await bed.advance(stepMs);
    append(1);
    const holds = await bed.until(async () => (await wrong()) === undefined);
    const found = holds ? undefined : await wrong();
    life.running.unsubscribe();
    await bed.advance(stepMs);
    if (found !== undefined) return { as: "wrong", wrong: `start ${attempt}: ${found}` };
  }
  const { errors, isBehind } = life;
  if (errors.length > 0) return { as: "refused", wrong: undefined };
  return { as: [0, 1, 2].some(isBehind) ? "behind" : "whole", wrong: undefined };

  async function wrong(): Promise<string | undefined> {
    if (life.errors.length > 0) {
      return mayBeRefused(history) ? undefined : `refused without a reason: ${life.errors.join()}`;
    }
    for (let sink = 0; sink < sinksOf(policy); sink += 1) {
      if (life.isBehind(sink)) continue;
      const there = new Set(await bed.positions(sink));
      const floor = floors[sink] ?? 0;
      const missing = owed.filter((position) => position > floor && !there.has(position));
      if (missing.length > 0) return `${idOf(sink)} lacks ${missing.join()}, and nothing said so`;
    }
    return undefined;
  }
}

function startLife(bed: Bed, policy: Policy, source: ReturnType<ForgettingLog["source"]>): Life {
  const errors: unknown[] = [];
  const last = new Map<number, Status["state"]>();
  const time = bed.scheduler && { scheduler: bed.scheduler };
  const retry = { initialMs: 10, maxMs: 100, jitter: 0 };
  const sinks = Array.from({ length: sinksOf(policy) }, (_, sink) =>
    redisSink<LogEvent, number>({
      ...{ id: idOf(sink), stream: streamOf(sink), retry, ...time },
      required: policy !== "optional" || sink === 0,
      buffer: { maxEvents: sink === 0 ? 20_000 : 20 },
      status: { next: ({ state }) => last.set(sink, state) },
      ...bed.target(sink),
    }),
  );
  const [only] = sinks;
  const many = () =>
    fanOut(sinks, policy === "quorum" ? { quorum: 2 } : "required", { patienceMs: 50, ...time });
  const sink = only !== undefined && policy === "one" ? only : many();
  const running = replicate({ source, sink, retry, ...time }).subscribe({
    error: (error) => errors.push(error),
  });
  return { errors, isBehind: (sink) => last.get(sink) === "behind", running };
}
