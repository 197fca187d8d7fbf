import { randomUUID } from "node:crypto";
import { BehaviorSubject, EMPTY, map, type Observable, type OperatorFunction, pipe, share, tap } from "rxjs";
import { type BatchOptions, batch, type UnfinishedTransaction } from "../../../operators/batch.ts";
import type { Progress } from "../../../operators/checkpoint.ts";
import type { Reporter } from "../../telemetry/reporter.ts";
import type { SinkStatus } from "../../telemetry/status.ts";
import type { Entry } from "../encode/entry.ts";
import type { SinkSettings } from "../sinkOptions.ts";
import { type Writers, WritersChoice, writersOf } from "../writers.ts";
import { type ByStreamOptions, byStream } from "./byStream.ts";
import { heldBack, type Safe } from "./heldBack.ts";
import { type AcknowledgedBatch, type Lane, type OpenedLane, passedOver } from "./lane.ts";
import { chosenLane, type LaneParts, ownedLane, ownLane } from "./laneKinds.ts";
import { type LaneLayout, laneLayout } from "./laneLayout.ts";
import { type LaneStatus, lanesStatus } from "./lanesStatus.ts";
import { Ledger } from "./ledger.ts";
import type { Resumption } from "./ledgerLook.ts";
import { again, type Publishing, publishTo } from "./publishing.ts";
import { recent } from "./recent.ts";
import { type Replayed, replayReport } from "./replayReport.ts";

/** How far everything is in the lanes, in the order of the source. */
type Acknowledged<P> = Progress<Entry<P>, AcknowledgedBatch<P>>;

/** All lanes of one subscription. */
export interface Lanes<P> {
  /** Opens what can be opened before the first event; emits where the source goes on, if it is known, completes. */
  readonly opened$: Observable<P | undefined>;
  /** Whether the status says when that is done. */
  readonly tellsOpening: boolean;
  /** What the subscription is; undefined: nothing has come yet. */
  readonly writers: () => Writers | undefined;
  /** Told of each entry before it is published; undefined: there is nothing to tell. */
  readonly arrived: ((entry: Entry<P>) => void) | undefined;
  /** Publishes each entry to its stream: batch → retry with backoff → XADD. */
  readonly publish: OperatorFunction<Entry<P>, AcknowledgedBatch<P>>;
  /** What of it a checkpoint may say. */
  readonly safe: OperatorFunction<Acknowledged<P>, Safe<Entry<P>, AcknowledgedBatch<P>>>;
  /** Tells what is left to tell. */
  readonly end: () => void;
}

export interface LanesOptions<T, P> extends Omit<Publishing<P>, "id" | "scheduler" | "wake"> {
  readonly options: Pick<SinkSettings<T, P>, "id" | "stream" | "scheduler">;
  /** Whether the source is opened where the lanes stand. */
  readonly isResuming: boolean;
}

type OneLane = LaneLayout & { readonly kind: "one" };
type LaneEach = LaneLayout & { readonly kind: "perStream" };

/** In ms: so long at least from one writing of the ledger to the next. */
const ledgerIntervalMs = 100;
/** A lane that is opened says so; of so many. */
const mostOpenedTold = 100;

/** Makes the lanes of a sink. */
export function lanes<T, P>({ options, isResuming, ...parts }: LanesOptions<T, P>): Lanes<P> {
  const { id, stream, scheduler } = options;
  const { tuning, connection } = parts;
  // Once for all lanes: an emitter warns of more than ten listeners.
  const shared = {
    ...{ ...parts, id, scheduler, isResuming, wake: connection.ready$.pipe(share()) },
    choice: new WritersChoice(isResuming ? "one" : writersOf(tuning)),
  };
  const layout = laneLayout({ ...tuning, id, stream }, connection.isCluster);
  const name = typeof stream === "string" ? stream : "(computed)";
  return layout.kind === "one" ? oneLane(shared, name, layout) : laneEach(shared, name, layout);
}

/** What a subscription's lanes have alike. */
interface Shared<P> extends Publishing<P> {
  readonly isResuming: boolean;
  readonly choice: WritersChoice;
}

/** A lane of the kind that the subscription is. */
function laneOf<P>(shared: Shared<P>, parts: LaneParts<P>, owner: string): Lane<P> {
  const { writers } = shared.choice;
  if (writers === "many") return ownLane(shared, parts);
  const owned = ownedLane(shared, parts, owner);
  return writers === "one"
    ? owned
    : chosenLane(shared.choice, owned, ownLane(shared, { ...parts, opened: untold }));
}

function oneLane<P>(shared: Shared<P>, name: string, { keys }: OneLane): Lanes<P> {
  const { connection, status, choice, isResuming } = shared;
  const isMany = choice.writers === "many";
  const replayed = replayReport<P>(name, isResuming, status.report);
  const parts = {
    ...{ keys, status, stream: name, isResuming, publishPort: connection.publishPort },
    opened: tellOpened<P>(status, name),
    replayed: replayed.next,
  };
  const lane = laneOf(shared, parts, randomUUID());
  const room = new BehaviorSubject(true);
  return {
    // Of many writers none has anything to open.
    opened$: isMany ? EMPTY : lane.opened$.pipe(map(({ position }) => position)),
    tellsOpening: !isMany,
    writers: () => choice.writers,
    arrived: undefined,
    publish: pipe(batch({ ...limitsOf(shared), room }), publishTo(shared, lane, status, room)),
    safe: atOnce(),
    end: replayed.end,
  };
}

/** Each stream has a lane, which is made when an event asks for it, and kept while it is one of the newest. */
function laneEach<P>(shared: Shared<P>, name: string, layout: LaneEach): Lanes<P> {
  const { connection, status, scheduler, choice, isResuming } = shared;
  const { maxEvents } = shared.tuning.buffer;
  const owner = randomUUID();
  const statusOf = lanesStatus(status);
  const book = isResuming ? ledgerOf(shared, layout, statusOf("the ledger")) : undefined;
  const replayed = replayReport<P>(name, isResuming, status.report);
  let made = 0;
  const laneFor = recent(maxEvents / 2, (stream: string) => {
    made += 1;
    const parts = {
      ...{ keys: layout.keysOf(stream), status: statusOf(stream), stream, isResuming },
      publishPort: book?.guard(connection.publishPort) ?? connection.publishPort,
      opened: made > mostOpenedTold || book !== undefined ? untold : tellOpened<P>(status, stream),
      // Of some streams it is over before it is of others.
      replayed: (batch: Replayed<P>) => batch.events > 0 && replayed.next(batch),
    };
    return laneOf(shared, parts, book?.laneOwner() ?? owner);
  });
  const publish = byStream<P, AcknowledgedBatch<P>>(spreading(shared), (stream, room) =>
    // What is skipped has no stream, and nothing to publish.
    stream === ""
      ? map((batch) => passedOver(stream, batch))
      : publishTo(shared, laneFor(stream), statusOf(stream), room),
  );
  if (book === undefined) {
    return {
      opened$: EMPTY,
      tellsOpening: false,
      writers: () => choice.writers,
      arrived: undefined,
      publish,
      safe: atOnce(),
      end: replayed.end,
    };
  }
  return {
    opened$: book.opened$.pipe(map((found) => begun(status, name, found))),
    tellsOpening: true,
    writers: () => choice.writers,
    arrived: (entry) => book.arrived(entry),
    publish: pipe(
      publish,
      tap((batch) => book.acknowledged(batch)),
    ),
    safe: pipe(
      tap(({ last: { safe } }) => safe !== undefined && book.reached(safe)),
      heldBack({
        positionOf: ({ safe, position }) => safe ?? (position === undefined ? undefined : book.start()),
        beside: (position) => book.beside(position),
        write: (position) => book.write(position),
        isFull: () => book.moved() > maxEvents,
        intervalMs: ledgerIntervalMs,
        scheduler,
      }),
      tap(({ reached }) => reached && replayed.end()),
    ),
    end: replayed.end,
  };
}

function ledgerOf<P>(
  shared: Publishing<P>,
  { keysOf, ledgerKey: key }: LaneEach,
  status: LaneStatus,
): Ledger<P> | undefined {
  const { connection, positions, tuning } = shared;
  const store = connection.ledger?.(key);
  if (store === undefined) return undefined;
  const stateKeyOf = (stream: string) => keysOf(stream).state;
  const retry = <A>() => pipe(again<A, P>(shared, status), tap(status.reached));
  return new Ledger({ store, key, stateKeyOf, positions, retry, adopt: tuning.adopt });
}

/** When a batch is full. */
function limitsOf<P>({ id, tuning, status, scheduler }: Publishing<P>): BatchOptions<Entry<P>> {
  const { batch: batching, buffer } = tuning;
  return {
    // A quarter of the buffer at most: one that waits for more than the source may send would wait for `lingerMs`.
    maxItems: Math.max(1, Math.min(batching.maxEvents, Math.floor(buffer.maxEvents / 4))),
    maxBytes: Math.max(1, Math.min(batching.maxBytes, buffer.maxBytes / 4)),
    sizeOf: ({ bytes }) => bytes,
    lingerMs: batching.lingerMs,
    transactionOf: ({ transaction }) => transaction,
    // A quarter of the buffer: half of it would pause the source in mid-transaction, for ever.
    maxTransactionItems: buffer.maxEvents / 4,
    maxTransactionBytes: buffer.maxBytes / 4,
    unfinished: { next: (left) => status.report({ state: "warning", message: unfinishedText(id, left) }) },
    ...(scheduler && { scheduler }),
  };
}

/** How what comes is shared out to the lanes. */
function spreading<P>(shared: Publishing<P>): ByStreamOptions<P> {
  const { tuning, scheduler } = shared;
  const { maxEvents, maxBytes } = tuning.buffer;
  return {
    limits: limitsOf(shared),
    // At half of the buffer the source pauses: more would not come.
    gathering: { maxItems: Math.max(1, maxEvents / 2), maxBytes: Math.max(1, maxBytes / 2) },
    maxLanes: Math.max(1, Math.floor(maxEvents / 10)),
    nextTurn: (work) => {
      if (scheduler === undefined) setImmediate(work);
      else scheduler.schedule(work);
    },
  };
}

function untold(): void {}

function tellOpened<P>(status: Reporter<SinkStatus>, stream: string): (opened: OpenedLane<P>) => void {
  return ({ epoch, position, foreignEntries }) =>
    status.report({ state: "opened", stream, epoch, position, foreignEntries });
}

function begun<P>(
  status: Reporter<SinkStatus>,
  stream: string,
  { epoch, position, streamsBack }: Resumption<P>,
): P | undefined {
  status.report({ state: "opened", stream, epoch, position, foreignEntries: 0 });
  if (streamsBack > 0) {
    const message = `Redis has lost acknowledged batches of ${streamsBack} streams: the source is opened before them`;
    status.report({ state: "warning", message });
  }
  return position;
}

function atOnce<P>(): Lanes<P>["safe"] {
  return map((progress) => ({ left: progress, reached: progress }));
}

function unfinishedText(sink: string, { id, items }: UnfinishedTransaction): string {
  return `sink ${sink}: the source ended in the middle of transaction ${id}; its events so far, ${items}, are not published, and come again with the next run. If a filter took out the last one, use keepPositions`;
}
