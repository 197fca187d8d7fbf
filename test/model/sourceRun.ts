import { isRxaddError } from "../../src/index.ts";
import { ForgettingLog } from "../kit/load/forgettingLog.ts";
import type { Bed, Place } from "./sourceBeds.ts";
import { type Happening, type History, sinksOf } from "./sourceHistory.ts";
import { type Life, startLife } from "./sourceLife.ts";
import { lacking, type Owed, outOfOrder, type Promised } from "./sourceOracle.ts";
import { Troubles } from "./sourceTroubles.ts";

/** How a history ended: with an error, with sinks that are behind, or with everything everywhere; or what is wrong. */
export interface Ending {
  readonly as: "refused" | "behind" | "whole" | "wrong";
  readonly wrong: string | undefined;
}

/** How the pipelines of a model are run. */
export interface Pipeline {
  /** Whether the source compares where it is asked to begin with a mark that outlives the process. */
  readonly remembers: boolean;
  readonly makeBed: (history: History, places: () => readonly Place[]) => Bed;
}

/** How a process is started. */
interface Start {
  readonly acceptHole: boolean;
  readonly adopt: boolean;
}
const plain: Start = { acceptHole: false, adopt: false };

/** Runs a history, then starts it twice more, and looks at each step of it. */
export async function runHistory(history: History, { remembers, makeBed }: Pipeline): Promise<Ending> {
  const { policy, named, keeps } = history;
  const log = new ForgettingLog({ keeps });
  /** Where each sink publishes now. */
  const places = Array.from({ length: sinksOf(policy) }, (_, sink) => ({
    ...{ sink, id: `sink${sink}`, stream: `orders${sink}` },
  }));
  const sinks = [...places.keys()];
  const placeOf = (sink: number): Place => {
    const place = places[sink];
    if (place === undefined) throw new RangeError(`there is no sink ${sink}`);
    return place;
  };
  const bed = makeBed(history, () => places);
  // A real server is never down.
  const happenings = history.happenings.filter(
    ({ do: what }) => bed.scheduler !== undefined || (what !== "down" && what !== "up"),
  );
  const owed: Owed[] = [];
  /** So many of these a sink may lack: what came before its first run, and what was accepted to be missing. */
  const floors = sinks.map(() => 0);
  const troubles = new Troubles(history);
  const { down, doubling } = troubles;
  /** Sinks that a start finds without a producer state, and with a mark beside the stream: they must not begin. */
  const beheaded = new Set<number>();
  const faults: string[] = [];
  let life: Life | undefined;
  /** The process has been killed; one that has ended by itself has something to say. */
  let isStopped = false;
  /** Another process was there beside it, and may have become the owner again where Redis had forgotten that. */
  let hasRival = false;

  function append(events: number, together: boolean): void {
    if (events === 0) return;
    const { generation } = log;
    if (together) owed.push(...log.commit(events).map((event) => ({ ...event, generation })));
    else for (let count = 0; count < events; count += 1) owed.push({ ...log.append(), generation });
  }

  /** How much of what is owed stands at or before a place in the log. */
  const countUpTo = (position: number) =>
    owed.filter((event) => event.generation < log.generation || event.position <= position).length;

  const logName = () => `log ${log.generation}`;
  /** Where a sink stands in the log, as it is stored; in an earlier log its place says nothing. */
  function placeIn(stored: string | undefined): number | undefined {
    const start = named ? `${JSON.stringify(logName())} ` : "";
    return stored?.startsWith(start) && stored !== "" ? Number(stored.slice(start.length)) : undefined;
  }

  async function start({ acceptHole, adopt }: Start): Promise<Life> {
    isStopped = false;
    hasRival = false;
    const stored = await Promise.all(places.map(bed.stored));
    const begun = (mark: number, isAccepted: boolean): void => {
      // A sink that was away at the start may have lost something until it was opened.
      const stands = (bed.now === undefined ? stored : places.map(bed.now.stored)).map(placeIn);
      const isKnown = sinks.some((sink) => stands[sink] !== undefined && !down.has(sink));
      for (const sink of sinks) {
        const at = stands[sink];
        // What a sink has that stands further on is no part of the hole.
        const lacks = at === undefined || at < mark;
        if (isAccepted ? lacks : !isKnown && at === undefined)
          floors[sink] = Math.max(floors[sink] ?? 0, countUpTo(mark));
      }
    };
    beheaded.clear();
    for (const sink of sinks) {
      const isGone = troubles.isBeheaded(sink) && stored[sink] === undefined;
      if (isGone && !adopt && (await bed.ids(placeOf(sink))).length > 0) beheaded.add(sink);
      troubles.open(sink, adopt);
    }
    const at = places.map((place) => ({ ...place }));
    return startLife(bed, {
      ...{ policy, adopt, places: at, source: log.source({ acceptHole, remembers, begun }) },
      log: named ? logName() : undefined,
      wrong: (what) => faults.push(what),
      checkpoint: (position, counted) => {
        const promised = { position, counted, generation: log.generation, at };
        if (bed.now === undefined) promises.push(promised);
        else {
          for (const place of at) bed.now.ids(place);
          lookAt(promised);
        }
      },
    });
  }

  /** What checkpoints have said, and has yet to be looked at. */
  const promises: Promised[] = [];

  /** All up to a checkpoint has been in as many streams as the policy asks for. */
  function lookAt(promised: Promised): void {
    const needed = policy === "optional" ? promised.at.slice(0, 1) : promised.at;
    const votes = policy === "quorum" ? 2 : needed.length;
    const streams = needed.map((place) => ({ ever: bed.ever(place), floor: floors[place.sink] ?? 0 }));
    const id = lacking(promised, owed, streams, votes);
    if (id !== undefined) faults.push(`a checkpoint at ${promised.position} is given out without ${id}`);
  }

  async function stop(): Promise<void> {
    life?.running.unsubscribe();
    isStopped = true;
  }

  /** Ends a process that another one has replaced. */
  async function end(before: Life): Promise<void> {
    // Where Redis had forgotten it, it may have gone back, and have become the owner again.
    const isOwner = life?.errors.length === 0 && troubles.isNone && policy !== "quorum";
    const isTold = () => before.running.closed || before.errors.length > 0;
    // In virtual time all of the step has gone by.
    const isOver = isTold() || (bed.scheduler === undefined && (await bed.rest(isTold, before.told$)));
    if (isOwner && !isOver) faults.push("it goes on, and is not the owner");
    before.running.unsubscribe();
  }

  /** Does what happens in this process; the step goes on until it rests, unless it has been killed. */
  async function take(happening: Happening): Promise<void> {
    switch (happening.do) {
      case "append":
        append(happening.events, happening.together);
        return;
      case "cut":
        append(happening.events, false);
        return;
      case "idle":
        log.idle();
        return;
      case "restart": {
        const before = life;
        if (!happening.overlap) await stop();
        life = await start(happening);
        // The one before has its word as well, and is told by it that it is not the owner any more.
        hasRival = happening.overlap;
        if (happening.overlap) {
          if (bed.scheduler === undefined) await rest();
          else await bed.advance(5);
          append(3, false);
        }
        await rest();
        if (before !== undefined && happening.overlap) await end(before);
        return;
      }
      case "crash":
        append(happening.events, happening.together);
        await bed.advance(happening.ms);
        return stop();
      case "rename": {
        const place = places[happening.sink];
        if (place === undefined) return;
        await stop();
        const name = `${place[happening.what]}+`;
        places[happening.sink] = { ...place, [happening.what]: name };
        life = await start(plain);
        return;
      }
      case "dropMark":
      case "makeAnew":
        if (happening.do === "makeAnew" && !named) return;
        // A slot that is read cannot be dropped.
        await stop();
        if (happening.do === "dropMark") log.dropMark();
        else log.makeAnew();
        return;
      case "down":
        if (!happening.restart) return;
        await stop();
        life = await start(plain);
        return;
      default:
        return;
    }
  }

  /** Nothing is on its way any more, as far as the process knows. */
  function isQuiet(): boolean {
    if (life === undefined || life.errors.length > 0 || life.running.closed) return true;
    const { behind, reached } = life;
    const newest = owed.findLast(({ generation }) => generation === log.generation)?.position ?? 0;
    const all = Math.max(newest, life.newest());
    return sinks.every((sink) => behind(sink) !== undefined || (reached(sink) ?? -1) >= all);
  }

  /** Whether it is because of a rival. */
  const isOusted = (error: unknown) => hasRival && isRxaddError(error) && error._tag === "Fenced";

  async function rest(): Promise<void> {
    if (life === undefined) return;
    if (!(await bed.rest(isQuiet, life.told$))) faults.push("it is stuck");
    for (const sink of sinks) {
      const cause = life.behind(sink);
      if (cause !== undefined && !troubles.behind(sink, cause) && !isOusted(cause))
        faults.push(`sink${sink} is behind without a reason: ${cause}`);
    }
  }

  /** Whether a process that runs has to know by now what Redis has lost. */
  function isTold(happening: Happening): boolean {
    if (happening.do === "rename") return happening.sink < sinks.length;
    return happening.do === "append" || happening.do === "restart" || happening.do === "cut";
  }

  /** What is wrong at a time when all is quiet. */
  async function look(isKnown: boolean): Promise<void> {
    for (const sink of sinks) {
      const found = outOfOrder(await bed.ids(placeOf(sink)), owed);
      if (found !== undefined && !doubling.has(sink)) faults.push(`sink${sink}: ${found}`);
    }
    for (const promised of promises.splice(0)) lookAt(promised);
    if (!isKnown || life === undefined || isStopped) return;
    if (life.errors.length > 0) {
      tellOverrun(life.errors);
      if (!life.errors.every(isOusted) && !troubles.mayBeRefused())
        faults.push(`refused without a reason: ${life.errors.join()}`);
      return;
    }
    if (isHeldUp()) return;
    for (const sink of beheaded)
      if (!down.has(sink) && life.behind(sink) === undefined)
        faults.push(`sink${sink} begins although its producer state is gone`);
    let isWhole = true;
    for (const sink of sinks) {
      if (life.behind(sink) !== undefined || down.has(sink)) isWhole = false;
      else {
        const there = new Set(await bed.ids(placeOf(sink)));
        const missing = owed.slice(floors[sink]).filter(({ id }) => !there.has(id));
        const list = missing.map(({ id }) => id).join();
        if (missing.length > 0) faults.push(`sink${sink} lacks ${list}, and nothing said so`);
      }
    }
    if (isWhole) await forgive();
  }

  /** What ended it may be a sink that ran over while the others did without it, before they were too few. */
  function tellOverrun(errors: readonly unknown[]): void {
    if (policy !== "quorum") return;
    for (const error of errors) {
      if (!isRxaddError(error) || error._tag !== "BufferOverflow") continue;
      const sink = places.find(({ id }) => error.message.includes(`${id}:`))?.sink;
      if (sink !== undefined) troubles.behind(sink, error);
    }
  }

  /** Too few are there for the source to go on. */
  function isHeldUp(): boolean {
    if (policy === "quorum") {
      const away = sinks.filter((sink) => down.has(sink) || life?.behind(sink) !== undefined);
      return away.length > 1;
    }
    return down.has(0) || (policy === "all" && down.has(1));
  }

  /** What has happened is over for those that stand where the source goes on. */
  async function forgive(): Promise<void> {
    const { mark } = log;
    if (mark === undefined) return;
    const stands = (await Promise.all(places.map(bed.stored))).map(placeIn);
    troubles.forgive(sinks.filter((sink) => (stands[sink] ?? -1) >= mark));
  }

  const fault = () => ({ as: "wrong" as const, wrong: faults[0] });
  try {
    life = await start(plain);
    await rest();
    for (const happening of happenings) {
      troubles.happen(happening);
      await bed.happen(happening, places);
      await take(happening);
      if (happening.do !== "restart" || bed.scheduler === undefined) await rest();
      await look(isTold(happening));
      if (faults.length > 0) return fault();
    }
    await stop();
    down.clear();
    await rest();

    for (const _attempt of [1, 2]) {
      life = await start(plain);
      await rest();
      append(1, false);
      await rest();
      await look(true);
      await stop();
      await rest();
      if (faults.length > 0) return fault();
    }
    const { errors, behind } = life;
    if (errors.length > 0) return { as: "refused", wrong: undefined };
    return { as: sinks.some(behind) ? "behind" : "whole", wrong: undefined };
  } finally {
    await stop();
  }
}
