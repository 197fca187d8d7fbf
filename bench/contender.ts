import type { BenchEvent, EventKind } from "./benchEvent.ts";

/** Where and how a contender publishes. */
export interface Task {
  readonly uri: string;
  /** The stream, or what the names of several begin with. */
  readonly stream: string;
  readonly count: number;
  /** Of how many bytes. */
  readonly bytes: number;
  readonly kind: EventKind;
  readonly events: Iterable<BenchEvent>;
  /** Most events in a batch. */
  readonly batchSize: number;
  /** Most batches in flight, where the contender can have several. */
  readonly window: number;
  /** Over how many streams the events go, in turns. */
  readonly streams: number;
  /** The authority that a server's certificate is signed by, as PEM, for `rediss://`. */
  readonly ca?: string | undefined;
}

/** One way to publish events to Redis. */
export interface Contender {
  readonly name: string;
  /** How many events give a fair figure; the slow ones need fewer. Default: all. */
  readonly mostEvents?: number;
  /** Resolves when Redis has acknowledged all of them; to the seconds it took, if it measures that itself. */
  readonly publish: (task: Task) => Promise<number | undefined>;
}

/** The stream of an event. */
export function streamOf({ stream, streams }: Pick<Task, "stream" | "streams">, position: number): string {
  return streams === 1 ? stream : `${stream}.${position % streams}`;
}

/** Cuts the events into batches. */
export function* batchesOf({ events, batchSize }: Task): Generator<readonly BenchEvent[]> {
  let batch: BenchEvent[] = [];
  for (const event of events) {
    batch.push(event);
    if (batch.length < batchSize) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Sends batches with several in flight, and waits for all of them. */
export async function withWindow(
  task: Task,
  send: (batch: readonly BenchEvent[]) => Promise<unknown>,
): Promise<undefined> {
  const inFlight: Promise<unknown>[] = [];
  for (const batch of batchesOf(task)) {
    inFlight.push(send(batch));
    if (inFlight.length >= task.window) await inFlight.shift();
  }
  await Promise.all(inFlight);
}
