import { type ErrorTag, isRxaddError } from "../../../src/index.ts";
import { logOf } from "./log.ts";
import { seenOf } from "./seen.ts";
import type { History, Step } from "./step.ts";
import type { World } from "./world.ts";
import { startWriter, type Writer, type WriterOptions } from "./writer.ts";

/** What a history came to. */
export interface Outcome {
  /** Events of the log that were published. */
  readonly events: number;
}

/** How a writer may end, whatever is done to it: it was told. */
const endings: ReadonlySet<ErrorTag> = new Set<ErrorTag>([
  "Fenced",
  "RewindRequired",
  "ProducerStateMissing",
]);

/**
 * Lets a history happen, and then lets one more writer finish the log. Throws what is not as it was promised:
 *
 * - each stream holds the events of the log up to some place, each once and in order, at any time;
 * - a checkpoint covers nothing that was not there, nor, where a replica is promoted, what was lost before it was told;
 * - checkpoints of one subscription do not go back;
 * - a writer that is not the owner is told so at its next word.
 */
export async function happen(world: World, history: History): Promise<Outcome> {
  const log = logOf(history.log);
  const writers: Writer[] = [];
  const violations: string[] = [];
  const violated = (what: string) => violations.push(what);
  const seen = seenOf(world, log);
  const exhausted = new Set<string>();
  let wasExhausted = false;
  // When the replica was left behind: how many checkpoints each writer had, or was about to be told.
  let since: readonly number[] = [];
  // What each writer had said when one last looked. Who was held when something was lost may say later what was true before.
  let said: readonly number[] = [];
  const outdated = new Set<Writer>();
  const isOneLane = world.keys.states.length === 1;
  let head = 0;
  let openings = 0;

  function throwViolations(): void {
    if (violations.length > 0) throw new Error(violations.join("; "));
  }

  async function open(
    options: Pick<WriterOptions, "way" | "limit"> & { readonly adopt?: boolean },
  ): Promise<Writer> {
    const { perBatch, buffer } = history;
    const line = await world.connect();
    const name = `writer ${writers.length}`;
    const nextOpening = () => ++openings;
    const writer = startWriter({
      ...options,
      name,
      world,
      log,
      perBatch,
      buffer,
      line,
      nextOpening,
      violated,
    });
    writers.push(writer);
    head = Math.max(head, options.limit);
    return writer;
  }

  async function settle(): Promise<void> {
    const isQuiet = () => violations.length > 0 || writers.every((writer) => writer.isQuiet());
    if (!(await world.until(isQuiet))) {
      const stuck = writers.filter((writer) => !writer.isQuiet()).map(({ name }) => name);
      throw new Error(`${stuck}: stuck`);
    }
    if (writers.some((writer) => writer.mayGoOn())) await world.pass();
    throwViolations();
  }

  /** Looks at the streams, and at who says what of them. */
  async function look(): Promise<void> {
    // What is said before one looks has to be there.
    const before = said;
    said = writers.map((writer) => writer.published());
    const covered = writers.map((writer) => writer.acknowledged());
    if (world.isStalled?.() === true) checkStalled();
    const wrong = await seen.look();
    if (wrong !== undefined) throw new Error(wrong);
    for (const [index, writer] of writers.entries()) {
      const { name, ending } = writer;
      const missing = seen.missing(covered[index] ?? 0);
      if (missing !== undefined)
        throw new Error(`${name}: a checkpoint covers event ${missing}, which was never there`);
      const upTo = said[index] ?? 0;
      // Of several lanes each is asked at its own next event.
      const isFresh = isOneLane && upTo > (before[index] ?? 0) && !outdated.has(writer);
      const hole = isFresh ? seen.hole(log.upTo(upTo)) : undefined;
      if (hole !== undefined) throw new Error(`${name}: a checkpoint covers event ${hole}, which is lost`);
      if (!writer.mayGoOn()) outdated.delete(writer);
      const how = ending();
      if (typeof how === "object" && !mayEnd(how.error)) throw new Error(`${name} ended with ${how.error}`);
    }
  }

  function mayEnd(error: unknown): boolean {
    return isRxaddError(error) && (endings.has(error._tag) || (wasExhausted && isExhausted(error)));
  }

  const losses: ReadonlySet<Step["do"]> = new Set(["flush", "restart", "failover", "deleteStream", "lose"]);

  async function step(step: Step): Promise<void> {
    if (losses.has(step.do)) for (const writer of writers) if (writer.mayGoOn()) outdated.add(writer);
    const writer = "writer" in step ? writers[step.writer % Math.max(1, writers.length)] : undefined;
    switch (step.do) {
      case "open":
        await open({ way: step.way, limit: head + step.events });
        break;
      case "publish":
        if (writer === undefined) break;
        writer.publish(step.events);
        head = Math.max(head, writer.limit());
        break;
      case "replay":
        writer?.replay(step.events);
        break;
      case "hold":
        writer?.line.hold(step.direction);
        break;
      case "release":
        writer?.line.release();
        break;
      case "cut":
        writer?.line.cut();
        break;
      case "die":
        writer?.die();
        break;
      case "flush":
        seen.was(await world.flush());
        break;
      case "restart":
        seen.was(await world.restart(step.keepsData));
        break;
      case "lag":
        await world.lag();
        since = writers.map(({ line, checkpoints }) =>
          line.isHeld() ? Number.POSITIVE_INFINITY : checkpoints(),
        );
        break;
      case "failover":
        seen.was(await world.failover(step.node));
        break;
      case "deleteState":
        for (const key of world.keys.states) await world.remove(key, step.how);
        break;
      case "deleteStream": {
        const key = world.keys.streams[step.stream] ?? "";
        seen.removed(key, await world.remove(key, step.how));
        break;
      }
      case "exhaust": {
        const key = world.keys.streams[step.stream] ?? "";
        exhausted.add(key);
        wasExhausted = true;
        await world.exhaust(key, step.left);
        break;
      }
      case "lose":
        await world.lose();
        break;
    }
  }

  /** Without its replica nothing is safe, but for what was said before and held back. */
  function checkStalled(): void {
    for (const [index, writer] of writers.entries()) {
      if (writer.checkpoints() > (since[index] ?? 0))
        throw new Error(`${writer.name}: a checkpoint without the replica that has to have it`);
    }
  }

  /** What somebody does whom a writer has told what is wrong. */
  async function mend(how: ReturnType<Writer["ending"]>): Promise<void> {
    if (typeof how !== "object" || !isRxaddError(how.error)) throw new Error(`the last writer ended: ${how}`);
    if (how.error._tag === "ProducerStateMissing") {
      const { streams, states, marks } = world.keys;
      if (!isOneLane) {
        // In a Cluster all of it has to go.
        seen.was(await world.flush());
        return;
      }
      const positions = await world.positions();
      for (const [index, key] of streams.entries())
        if (positions[states.length === 1 ? 0 : index] === undefined) await world.remove(key, "delete");
      for (const [index, key] of marks.entries())
        if (positions[index] === undefined) await world.remove(key, "delete");
      return;
    }
    if (!isExhausted(how.error)) throw how.error;
    for (const key of exhausted) {
      seen.removed(key, await world.remove(key, "delete"));
    }
    exhausted.clear();
  }

  /** Whether one that had to go back has opened the sink after this one, which then is not the owner any more. */
  function hasFollower(writer: Writer): boolean {
    return writer.hasOpened() && writers.some((other) => other.isAlive() && isAfter(other, writer));
  }

  function isAfter(one: Writer, other: Writer): boolean {
    return one.opening() > other.opening();
  }

  /** One more process publishes the log to its end. */
  async function finish(): Promise<Writer> {
    // Where each stream has a lane of its own it is the owner of those that it publishes to: of all of them.
    const further = isOneLane ? 0 : world.keys.streams.length;
    for (let tries = 0; tries < 5; tries += 1) {
      const last = await open({ way: "replicate", limit: log.wholeWith(head + further) });
      last.finish();
      await settle();
      await look();
      const how = last.ending();
      if (how === "completed") return last;
      if (!hasFollower(last)) await mend(how);
    }
    throw new Error("the last writer does not get to its end");
  }

  /** Who is not the owner says one word more. */
  async function tell(last: Writer): Promise<void> {
    const others = writers.filter((writer) => writer.isAlive() && writer.hasOpened());
    for (const writer of others) {
      // It may have been told meanwhile, and be the owner again.
      if (!writer.isAlive() || isAfter(writer, last)) continue;
      const before = writer.told();
      // What is there already is no word, and of a part of a transaction nobody learns.
      writer.publish(Math.max(0, head - writer.limit()) + 6);
      head = Math.max(head, writer.limit());
      await settle();
      // One that was told before, and had yet to open again, is the owner now.
      if (writer.told() === before && !isAfter(writer, last))
        throw new Error(`${writer.name}: was not told that it is not the owner`);
      await look();
    }
  }

  try {
    for (const [index, now] of history.steps.entries()) {
      await world.begin(index);
      await look();
      await step(now);
      await settle();
      await look();
    }
    for (const { line } of writers) line.release();
    if (world.isStalled?.() === true) seen.was(await world.failover(0));
    await settle();
    await look();
    const last = await finish();
    const hole = seen.hole(head);
    if (hole !== undefined) throw new Error(`event ${hole} is lost`);
    await tell(last);
    const astray = await world.astray();
    if (astray !== undefined) throw new Error(astray);
    return { events: head };
  } finally {
    for (const writer of writers) if (writer.isAlive()) writer.die();
    await Promise.all(writers.map(({ line }) => line.close()));
    await world.close();
  }
}

function isExhausted(error: unknown): boolean {
  return isRxaddError(error) && /stream has exhausted|equal or smaller/.test(error.message);
}
