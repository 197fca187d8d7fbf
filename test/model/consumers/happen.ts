import { lastValueFrom, toArray } from "rxjs";
import { redrive } from "../../../src/admin/index.ts";
import { tablesOf } from "../../../src/redis/wire/entryReplies.ts";
import { startValve } from "../../kit/network/valve.ts";
import type { RedisServer } from "../../kit/servers/redisServer.ts";
import { stuckMs } from "../patience.ts";
import { type Consumer, deadLetters, effectsKey, group, startConsumer } from "./consumer.ts";
import { type Item, makeLedger } from "./ledger.ts";
import { checkLetter, lettersOf } from "./letters.ts";
import type { History, NewEntry, Step } from "./step.ts";

/** Who is no consumer of ours, and who handles what is left. */
const thief = "thief";
const last = "last";

/** What a history came to. */
export interface Outcome {
  /** Entries that were added. */
  readonly entries: number;
}

/**
 * Lets a history happen, and then lets a healthy consumer handle what is left. Throws what is not as it was promised:
 *
 * - every entry is handled, or a dead letter, or told as gone, and by those that live while any does;
 * - the effects of what is acknowledged happened once;
 * - a dead letter is what was in the stream, byte for byte, and only what failed, or killed its consumer, often enough;
 * - those that are put back are that again, each one entry, in their order;
 * - a consumer handles the entries of a key in their order, and holds no more than its window;
 * - where it is to be removed, nothing that is acknowledged is left in its stream;
 * - `until` ends it, and nothing stays pending;
 * - of consumers that died none is left, where they are to be taken out.
 */
export async function happen({ client, port }: RedisServer, history: History): Promise<Outcome> {
  const streams = Array.from({ length: history.streams }, (_, index) => `s${index}`);
  const ledger = makeLedger();
  const violations: string[] = [];
  const violated = (what: string) => violations.push(what);
  const slots: (Consumer | undefined)[] = [];
  const consumers: Consumer[] = [];
  const newest = new Map<string, number>();
  let added = 0;

  await client.flushall();
  for (const stream of streams) await client.xgroup("CREATE", stream, group, "0", "MKSTREAM");

  /** The one that Redis itself gives next: each is of a time to come. */
  function nextId(stream: string): string {
    const next = (newest.get(stream) ?? 0) + 1;
    newest.set(stream, next);
    return `9000000000000-${next}`;
  }

  async function join(name: string): Promise<Consumer> {
    const valve = await startValve(port);
    const consumer = startConsumer({ name, history, streams, ledger, valve, violated });
    consumers.push(consumer);
    return consumer;
  }

  async function add(stream: string, { kind, key }: NewEntry): Promise<void> {
    added += 1;
    const id = history.deduplicates ? `${key}` : `${added}`;
    const fields = fieldsOf({ kind, key }, id);
    const entryId = nextId(stream);
    ledger.add({
      stream,
      entryId,
      kind,
      key: `${key}`,
      effect: `${stream}/${id}`,
      fields: fields.map((word) => Buffer.from(word)),
    });
    await client.xadd(stream, entryId, ...fields);
  }

  /** What a consumer has, oldest first. */
  async function pendingOf(name: string): Promise<readonly Pick<Item, "stream" | "entryId">[]> {
    const all = await Promise.all(
      streams.map((stream) => client.xpending(stream, group, "-", "+", 100, name)),
    );
    return all.flatMap((pending, index) =>
      pending.map((entry) => ({ stream: streams[index] ?? "", entryId: `${(entry as unknown[])[0]}` })),
    );
  }

  async function idle(name: string): Promise<void> {
    const pending = await pendingOf(name);
    // Of one that is deleted a claim would leave nothing, unseen.
    for (const { stream, entryId } of pending.filter(
      (entry) => ledger.at(entry.stream, entry.entryId)?.isGone === false,
    ))
      await client.call("XCLAIM", [stream, group, name, 0, entryId, "IDLE", 1_000_000, "JUSTID"]);
  }

  /** Makes it pending again for who had it, as on a replica that lacks the acknowledgement. */
  async function forget(which: number): Promise<void> {
    // What has left its stream cannot become pending again.
    if (history.removes) for (const stream of streams) await findGone(stream);
    // An effect that several entries share is not known to be this one's.
    const known = ledger
      .all()
      .filter(({ acknowledged, isGone }) => acknowledged > 0 && !isGone && !history.deduplicates);
    const item = known[which % Math.max(1, known.length)];
    if (item === undefined) return;
    const { stream, entryId, acknowledgedBy, effect } = item;
    item.acknowledged = 0;
    await client
      .multi()
      .hdel(effectsKey, effect)
      .xclaim(stream, group, acknowledgedBy, 0, entryId, "FORCE", "JUSTID")
      .exec();
  }

  /** Puts back what is a dead letter now; what becomes of the new entries is counted as theirs. */
  async function redriveAll(): Promise<void> {
    const at = { connection: client, stream: deadLetters };
    const letters = await lettersOf(client);
    const maxId = letters.at(-1)?.letterId;
    if (maxId === undefined) return;
    const again = letters.map((letter) => {
      const item = ledger.all().find(({ stream, entryId }) => letter.origin === `${stream} ${entryId}`);
      if (item === undefined) throw new Error(`a dead letter of ${letter.origin}, which was never added`);
      checkLetter(history, item, letter);
      item.isRedriven = true;
      const { stream, kind, key, effect, fields } = item;
      const entryId = nextId(stream);
      ledger.add({ stream, entryId, kind, key, effect, fields });
      return { stream, entryId, fields };
    });
    const redriven = await lastValueFrom(redrive(at, { maxId }).pipe(toArray()));
    if (redriven.some(({ newEntryId }, index) => newEntryId !== again[index]?.entryId))
      throw new Error(`redriven as ${redriven.map(({ newEntryId }) => newEntryId)}, each once and in order`);
    for (const { stream, entryId, fields } of again) {
      const [entry] = await client.xrangeBuffer(stream, entryId, entryId);
      const same = fields.every((word, index) => entry === undefined || entry[1][index]?.equals(word));
      if (!same || (entry?.[1].length ?? fields.length) !== fields.length)
        throw new Error(`${stream} ${entryId}: put back as something else than it was`);
    }
  }

  async function step(step: Step): Promise<void> {
    const stream = "stream" in step ? (streams[step.stream] ?? "") : "";
    const consumer = "slot" in step ? slots[step.slot] : undefined;
    switch (step.do) {
      case "add":
        for (const entry of step.entries) await add(stream, entry);
        break;
      case "join":
        if (consumer?.isAlive() !== true) slots[step.slot] = await join(`c${step.slot}`);
        break;
      case "finish":
        consumer?.finish(step.task, step.how);
        break;
      case "die":
        consumer?.die();
        break;
      case "cut":
        consumer?.valve.cut();
        break;
      case "kill":
        await client.call("CLIENT", ["KILL", "TYPE", "normal", "SKIPME", "yes"]);
        break;
      case "hold":
        consumer?.valve.hold("requests");
        consumer?.valve.hold("replies");
        break;
      case "release":
        consumer?.valve.release();
        break;
      case "idle":
        await idle(`c${step.slot}`);
        break;
      case "take": {
        const pending = await pendingOf(`c${step.slot}`);
        const taken = pending[step.entry % Math.max(1, pending.length)];
        if (taken === undefined) break;
        const item = ledger.at(taken.stream, taken.entryId);
        if (item !== undefined) item.isTaken = true;
        await client.call("XCLAIM", [taken.stream, group, thief, 0, taken.entryId, "JUSTID"]);
        await client.xack(taken.stream, group, taken.entryId);
        break;
      }
      case "forget":
        await forget(step.entry);
        break;
      case "delete": {
        const all = await client.xrange(stream, "-", "+");
        const [entryId] = all[step.entry % Math.max(1, all.length)] ?? [];
        if (entryId !== undefined) await client.xdel(stream, entryId);
        break;
      }
      case "trim":
        await client.xtrim(stream, "MAXLEN", step.keep);
        break;
      case "redrive":
        await redriveAll();
        break;
      case "drain":
        consumer?.drain();
        break;
    }
    if (step.do === "delete" || step.do === "trim") await findGone(stream);
  }

  async function findGone(stream: string): Promise<void> {
    const there = new Set((await client.xrange(stream, "-", "+")).map(([entryId]) => entryId));
    for (const item of ledger.all())
      if (item.stream === stream && !there.has(item.entryId)) item.isGone = true;
  }

  function throwViolations(): void {
    if (violations.length > 0) throw new Error(violations.join("; "));
  }

  /** Waits until it is so; throws if it does not come to that. */
  async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    const end = performance.now() + stuckMs;
    while (!(await isSo())) {
      throwViolations();
      if (performance.now() > end) throw new Error(what);
      await turn();
    }
    throwViolations();
  }

  /** Whether the group has read all there is, and nothing is pending. */
  async function isDone(): Promise<boolean> {
    for (const stream of streams) {
      const [[pending], [info], newest] = await Promise.all([
        client.xpending(stream, group) as Promise<unknown[]>,
        client.xinfo("GROUPS", stream) as Promise<unknown[][]>,
        client.xrevrange(stream, "+", "-", "COUNT", 1),
      ]);
      const read = `${info?.[info.indexOf("last-delivered-id") + 1]}`;
      if (Number(pending) > 0 || isAfter(newest[0]?.[0] ?? "0-0", read)) return false;
    }
    return true;
  }

  /** Whether no consumer of ours but the last one is in the group, where it is. */
  async function isAlone(): Promise<boolean> {
    const names = await Promise.all(
      streams.map(async (stream) =>
        tablesOf(await client.xinfo("CONSUMERS", stream, group)).map((about) => about.get("name")),
      ),
    );
    return names.flat().every((name) => name === last || name === thief);
  }

  async function drainAll(): Promise<void> {
    const alive = consumers.filter((consumer) => consumer.isAlive());
    for (const consumer of alive) {
      consumer.valve.release();
      consumer.succeedAlways();
    }
    // What others have left need not be waited for.
    for (const name of ["c0", "c1", "c2"])
      if (!alive.some((consumer) => consumer.name === name)) await idle(name);
    if (alive.some((consumer) => !consumer.isDraining()))
      await until("entries stay pending although consumers live", isDone);
    for (const consumer of alive) consumer.drain();
    for (const consumer of alive)
      await until(`${consumer.name}: until does not end it`, () => !consumer.isAlive());
  }

  /** What became of each entry, against what was promised. */
  async function check(): Promise<void> {
    const done = await client.hgetall(effectsKey);
    const dead = await lettersOf(client);
    for (const stream of streams) await findGone(stream);
    for (const item of ledger.all()) {
      const { stream, entryId, kind, effect, started } = item;
      const name = `${kind} entry ${stream} ${entryId}`;
      // What a batch wrote is as good as done, and may be done again.
      const times = history.batches ? Math.min(1, item.succeeded) : Number(done[effect] ?? 0);
      if (history.removes && item.acknowledged > 0 && !item.isGone)
        throw new Error(`${name}: acknowledged, and still in its stream`);
      const letters = dead.filter(({ origin }) => origin === `${stream} ${entryId}`);
      if (times > 1) throw new Error(`${name}: its effect happened ${times} times`);
      if (item.acknowledged > 0 && times === 0) throw new Error(`${name}: acknowledged without its effect`);
      if (history.maxDeliveries > 0 && started > mostStarts(history, item))
        throw new Error(`${name}: ${started} of ${history.maxDeliveries} handlers`);
      if (letters.length > 1) throw new Error(`${name}: ${letters.length} dead letters`);
      for (const letter of letters) {
        checkLetter(history, item, letter);
        if (times > 0 && !history.deduplicates && !history.batches)
          throw new Error(`${name}: handled, and a dead letter`);
      }
      if (times > 0 || letters.length > 0 || item.isTaken || item.isRedriven) continue;
      if (!item.isGone) throw new Error(`${name}: neither handled nor a dead letter`);
      if (item.wasDelivered && !item.wasTold) throw new Error(`${name}: gone, and nobody was told`);
    }
  }

  try {
    for (const now of history.steps) {
      await step(now);
      if (consumers.some((consumer) => consumer.isAlive())) await pass();
      throwViolations();
    }
    await drainAll();
    for (const name of ["c0", "c1", "c2"]) await idle(name);
    const healthy = await join(last);
    healthy.succeedAlways();
    await until("entries stay pending", isDone);
    if (history.forgets) await until("consumers that died are left", isAlone);
    healthy.drain();
    await until("last: until does not end it", () => !healthy.isAlive());
    await check();
    return { entries: added };
  } finally {
    for (const consumer of consumers) if (consumer.isAlive()) consumer.die();
    await Promise.all(consumers.map(({ valve }) => valve.stop()));
  }
}

/** Starts that may not count: the first one, which is not written down, and one that is with those of others. */
const unsure = 2;

/** Each time that it is started in a batch it may be started alone as well. */
function mostStarts({ maxDeliveries, batches }: History, { givenBack }: Item): number {
  return (maxDeliveries + unsure + givenBack) * (batches ? 2 : 1);
}

/** Fields and values, alternating. */
function fieldsOf({ kind, key }: NewEntry, id: string): readonly (string | Buffer)[] {
  const bytes = Buffer.from([0xff, 0xfe, 0x00, 0x80, 0xc3, 0x28]);
  const event = ["event", JSON.stringify({ id, key: `${key}` })];
  switch (kind) {
    case "good":
    case "throws":
      return event;
    case "odd":
      return [...event, "10", "ten", "1", "one", "bytes", bytes, "twice", "a", "twice", "b", "error", "mine"];
    case "garbage":
      return ["stream", "mine", "event", bytes, "__proto__", "x"];
  }
}

function turn(): Promise<void> {
  return new Promise((next) => setTimeout(next, 1));
}

/** Lets happen what a step brings about. */
function pass(): Promise<void> {
  return new Promise((next) => setTimeout(next, 3));
}

function isAfter(id: string, other: string): boolean {
  const [ms = 0, number = 0] = id.split("-").map(Number);
  const [otherMs = 0, otherNumber = 0] = other.split("-").map(Number);
  return ms > otherMs || (ms === otherMs && number > otherNumber);
}
