import { Subject, type Subscription } from "rxjs";
import { redisSink, type SinkOptions } from "../../../src/index.ts";
import type { History, Step } from "./step.ts";
import type { Content, Line, World } from "./world.ts";
import { sinkId, streamOf } from "./writer.ts";

/** An event of one of many processes, none of which says where it stands in a source. */
interface SaidEvent {
  /** The writer's number in the thousands, and from 1 on. */
  readonly n: number;
}

const perWriter = 1000;

/** A process that says something of its own. */
interface Speaker {
  readonly line: Line;
  readonly say: (events: number) => void;
  readonly die: () => void;
  readonly isAlive: () => boolean;
  /** All that it has said is safe, or has been dropped, or cannot be. */
  readonly isQuiet: () => boolean;
  readonly said: () => number;
  /** Dropped because the buffer was full, as it was told. */
  readonly dropped: () => number;
  /** Lost by Redis after it was safe, as it was told. */
  readonly lost: () => number;
  readonly ending: () => unknown;
}

function startSpeaker(world: World, line: Line, index: number, { perBatch, buffer }: History): Speaker {
  const events$ = new Subject<SaidEvent>();
  let said = 0;
  let safe = 0;
  let dropped = 0;
  let lost = 0;
  let ending: unknown;
  let isDead = false;
  // The server is one or the other: TypeScript does not see that through a spread.
  const sink = redisSink<SaidEvent, number>({
    id: sinkId,
    stream: world.keys.streams.length === 1 ? streamOf(world, 0) : ({ n }) => streamOf(world, n),
    event: { encode: ({ n }) => `${n}` },
    batch: { maxEvents: perBatch },
    buffer: { maxEvents: buffer, overflow: index % 2 === 0 ? "dropOldest" : "dropNewest" },
    retry: { initialMs: 1, maxMs: 8, jitter: 0 },
    status: {
      next: (status) => {
        if (status.state === "lost") lost += status.events;
        if (status.state === "dropped") dropped += status.events;
      },
    },
    // The first event says the same.
    ...(buffer >= perWriter / 10 && { buffer: { maxEvents: buffer } }),
    ...(index % 3 === 0 && { writers: "many" }),
    ...world.settings,
    ...line.server,
  } as SinkOptions<SaidEvent, number>);
  const running: Subscription = events$.pipe(sink).subscribe({
    next: ({ events }) => {
      safe += events;
    },
    error: (error: unknown) => {
      ending = error;
    },
  });
  const isAlive = () => !isDead && ending === undefined;

  return {
    line,
    say: (events) => {
      for (let i = 0; i < events && isAlive(); i += 1) {
        said += 1;
        events$.next({ n: index * perWriter + said });
      }
    },
    die: () => {
      isDead = true;
      running.unsubscribe();
    },
    isAlive,
    isQuiet: () => !isAlive() || line.isHeld() || world.isStalled?.() === true || safe + dropped === said,
    said: () => said,
    dropped: () => dropped,
    lost: () => lost,
    ending: () => ending,
  };
}

/**
 * Lets a history happen among many writers with one configuration, whose events have no positions. Throws what is not as it
 * was promised:
 *
 * - none of them ends, whatever the others do and Redis loses;
 * - what one says stands in its streams once and in its order, at any time;
 * - in the end all that the living have said is there, but for what they were told is lost or dropped.
 */
export async function happenAmongMany(world: World, history: History): Promise<{ readonly events: number }> {
  const speakers: Speaker[] = [];
  /** Whoever looks after the stream has removed them. */
  const removed = new Set<number>();
  /** Something may have come back that was told to be lost, or be there although it was. */
  let isTold = true;
  /** How often Redis has gone back to something older. */
  let setbacks = 0;

  async function open(events: number): Promise<void> {
    const speaker = startSpeaker(world, await world.connect(), speakers.length, history);
    speakers.push(speaker);
    speaker.say(events);
  }

  async function settle(): Promise<void> {
    if (await world.until(() => speakers.every((speaker) => speaker.isQuiet()))) return;
    const stuck = speakers.flatMap((speaker, index) => (speaker.isQuiet() ? [] : [index]));
    throw new Error(`writers ${stuck}: stuck`);
  }

  function wrongIn(content: Content): string | undefined {
    const newest = new Map<number, number>();
    for (const n of content) {
      const writer = Math.floor(n / perWriter);
      const before = newest.get(writer) ?? 0;
      if (n <= before) return `event ${n} stands behind ${before}: ${content}`;
      newest.set(writer, n);
    }
    return undefined;
  }

  async function look(): Promise<void> {
    const wrong = (await world.contents()).map(wrongIn).find((found) => found !== undefined);
    if (wrong !== undefined) throw new Error(wrong);
    for (const [index, speaker] of speakers.entries()) {
      if (speaker.ending() !== undefined) throw new Error(`writer ${index} ended: ${speaker.ending()}`);
    }
  }

  async function remove(key: string, how: "delete" | "rename"): Promise<void> {
    const before = await world.remove(key, how);
    for (const n of before[world.keys.streams.indexOf(key)] ?? []) removed.add(n);
  }

  async function step(now: Step): Promise<void> {
    const speaker = "writer" in now ? speakers[now.writer % Math.max(1, speakers.length)] : undefined;
    switch (now.do) {
      case "open":
        await open(now.events);
        break;
      case "publish":
        speaker?.say(now.events);
        break;
      case "hold":
        speaker?.line.hold(now.direction);
        break;
      case "release":
        speaker?.line.release();
        break;
      case "cut":
        speaker?.line.cut();
        break;
      case "die":
        speaker?.die();
        break;
      case "flush":
        await world.flush();
        break;
      case "restart":
        await world.restart(now.keepsData);
        break;
      case "lag":
        await world.lag();
        break;
      case "failover":
        isTold = false;
        setbacks += 1;
        await world.failover(now.node);
        break;
      case "lose":
        isTold = false;
        setbacks += 1;
        await world.lose();
        break;
      case "deleteStream":
        isTold = false;
        await remove(world.keys.streams[now.stream] ?? "", now.how);
        break;
      // They have no state that others know of, and a source of theirs cannot go back.
      case "deleteState":
      case "replay":
      case "exhaust":
    }
  }

  /** What the living have said and is not there is what they were told. */
  async function account(): Promise<void> {
    const there = new Set((await world.contents()).flat());
    for (const [index, speaker] of speakers.entries()) {
      if (!speaker.isAlive()) continue;
      const numbers = Array.from({ length: speaker.said() }, (_, i) => index * perWriter + i + 1);
      const missing = numbers.filter((n) => !there.has(n) && !removed.has(n));
      const told = speaker.lost() + speaker.dropped();
      // Of a second setback before it has published after the first one it learns in part.
      const least = setbacks > 1 ? Math.min(1, missing.length) : missing.length;
      if (told < least || (isTold && told > missing.length))
        throw new Error(`writer ${index} lacks ${missing}, and was told of ${told}`);
    }
  }

  try {
    for (const [index, now] of history.steps.entries()) {
      await world.begin(index);
      await step(now);
      await settle();
      await look();
    }
    for (const { line } of speakers) line.release();
    if (world.isStalled?.() === true) {
      isTold = false;
      await world.failover(0);
    }
    await settle();
    // Who has nothing to say does not learn what Redis has lost: of each of its streams.
    for (const speaker of speakers) speaker.say(world.keys.streams.length);
    await settle();
    await look();
    await account();
    return { events: speakers.reduce((sum, speaker) => sum + speaker.said(), 0) };
  } finally {
    for (const speaker of speakers) speaker.die();
    await Promise.all(speakers.map(({ line }) => line.close()));
    await world.close();
  }
}
