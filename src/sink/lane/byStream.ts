import {
  BehaviorSubject,
  Observable,
  type Observer,
  type OperatorFunction,
  Subject,
  Subscription,
  tap,
} from "rxjs";
import { type BatchOptions, batch } from "../../../operators/batch.ts";
import type { Batch, Entry } from "../encode/entry.ts";

/** How {@link byStream} gathers, and how much it keeps. */
export interface ByStreamOptions<P> {
  /** When a batch of one stream is full. */
  readonly limits: BatchOptions<Entry<P>>;
  /** At most so much is gathered before it is shared out. */
  readonly gathering: Required<Pick<BatchOptions<unknown>, "maxItems" | "maxBytes">>;
  /** Most lanes at once, >= 1; entries of further streams wait until one of them has nothing to do. */
  readonly maxLanes: number;
  /** Does something in the next turn of the event loop, when what has come by then is there. */
  readonly nextTurn: (work: () => void) => void;
}

/** Publishes batches of a stream, one result for each; tells whether it takes more. */
export type PublishTo<P, A> = (
  stream: string,
  room: Pick<Observer<boolean>, "next">,
) => OperatorFunction<Batch<P>, A>;

/** A stream that has something to publish, or had until a moment ago. */
interface Lane<P> {
  /** Undefined: it waits until it may be opened. */
  input: Subject<Batch<P>> | undefined;
  /** Its shares that have no room yet. */
  waiting: Batch<P>[];
  hasRoom: boolean;
  unanswered: number;
}

/**
 * Publishes each entry to its own stream. Entries are gathered for as long as the source emits without a
 * pause, and each stream is then given its share of them.
 *
 * ```
 * entries     a1 (b1 a2 a3 b2)       window 1
 * to a        a1-----(a2 a3)--       waits until a has room
 * to b        ---(b1 b2)------       whatever a does
 * ```
 *
 * So a busy sink with 1,000 streams sends batches of ten and not of one, and an idle one waits for nothing.
 *
 * - **Order** that of the source within a stream; a transaction's entries of one stream stay together.
 * - **A stream that has no room** keeps its share waiting, and nobody else.
 * - **Memory** as many lanes as `maxLanes` says, however many streams there are: one that has nothing to do is completed
 *   when another one needs its place. Entries wait without bound; put `boundedBuffer` around.
 * - **Completion** when all lanes have completed. The first error of one ends the result.
 */
export function byStream<P, A>(
  { limits, gathering, maxLanes, nextTurn }: ByStreamOptions<P>,
  publishTo: PublishTo<P, A>,
): OperatorFunction<Entry<P>, A> {
  return (entries$) =>
    new Observable((subscriber) => {
      const room = new BehaviorSubject(true);
      const lanes = new Map<string, Lane<P>>();
      /** Lanes with nothing to do, the one that has rested longest first. */
      const resting = new Set<string>();
      /** Streams that have no lane yet, in the order in which they asked. */
      const asking = new Set<string>();
      let open = 0;
      /** How many of them are about to give their places away. */
      let closing = 0;
      let isOpening = false;
      let gathered = 0;
      let isDrained = false;

      function shareOut(entries: Batch<P>): void {
        gathered -= entries.length;
        room.next(false);
        const shares = sharesOf(entries);
        for (const [stream, share] of shares) {
          const lane = laneOf(stream);
          lane.waiting.push(share);
          resting.delete(stream);
          if (lane.input === undefined) asking.add(stream);
          else send(lane);
        }
        openLanes();
        gatherOn(shares.size * (limits.maxItems ?? entries.length));
      }

      /** Goes on when a turn has brought nothing more, or there is enough for full batches. */
      function gatherOn(enough: number): void {
        const before = gathered;
        nextTurn(() => {
          if (subscriber.closed) return;
          const isEnough = gathered >= Math.min(enough, gathering.maxItems * 0.9);
          if (gathered > before && !isEnough && !isDrained) gatherOn(enough);
          else room.next(true);
        });
      }

      function laneOf(stream: string): Lane<P> {
        const known = lanes.get(stream);
        if (known !== undefined) return known;
        const lane = { input: undefined, waiting: [], hasRoom: false, unanswered: 0 };
        lanes.set(stream, lane);
        return lane;
      }

      /** In a loop: what it closes and opens comes back here at once. */
      function openLanes(): void {
        if (isOpening) return;
        isOpening = true;
        while (openNext() || closeNext()) {}
        isOpening = false;
      }

      function openNext(): boolean {
        if (open >= maxLanes || subscriber.closed) return false;
        for (const stream of asking) {
          asking.delete(stream);
          openLane(stream, laneOf(stream));
          return true;
        }
        return false;
      }

      function closeNext(): boolean {
        if (closing >= asking.size || subscriber.closed) return false;
        for (const stream of resting) {
          giveUp(stream);
          return true;
        }
        return false;
      }

      /** Gives its place to another; what comes next for this stream is given to a new lane. */
      function giveUp(stream: string): void {
        const lane = lanes.get(stream);
        resting.delete(stream);
        lanes.delete(stream);
        closing += 1;
        lane?.input?.complete();
      }

      function openLane(stream: string, lane: Lane<P>): void {
        const input = new Subject<Batch<P>>();
        open += 1;
        lane.hasRoom = true;
        const told = {
          next: (hasRoom: boolean) => {
            lane.hasRoom = hasRoom;
            if (hasRoom) send(lane);
          },
        };
        const running = new Subscription();
        subscriber.add(running);
        running.add(
          input.pipe(publishTo(stream, told)).subscribe({
            next: (answer) => {
              lane.unanswered -= 1;
              subscriber.next(answer);
              if (lane.unanswered === 0 && lane.waiting.length === 0) rest(stream, lane);
            },
            error: (error) => subscriber.error(error),
            complete: () => {
              subscriber.remove(running);
              open -= 1;
              if (lanes.get(stream) === lane) lanes.delete(stream);
              else closing -= 1;
              openLanes();
              endWhenDone();
            },
          }),
        );
        // Who has not subscribed yet would miss it.
        lane.input = input;
        send(lane);
      }

      function send(lane: Lane<P>): void {
        while (lane.input !== undefined && lane.hasRoom && lane.waiting.length > 0 && !subscriber.closed) {
          const [next = [], ...later] = batchesOf(lane.waiting.splice(0).flat(), limits);
          lane.waiting.push(...later);
          lane.unanswered += 1;
          lane.input.next(next);
        }
      }

      function rest(stream: string, lane: Lane<P>): void {
        if (isDrained) lane.input?.complete();
        else if (lanes.get(stream) === lane) {
          resting.add(stream);
          openLanes();
        }
      }

      function endWhenDone(): void {
        if (isDrained && lanes.size === 0 && open === 0) subscriber.complete();
      }

      function drain(): void {
        isDrained = true;
        resting.clear();
        for (const { input, unanswered, waiting } of [...lanes.values()]) {
          if (unanswered === 0 && waiting.length === 0) input?.complete();
        }
        endWhenDone();
      }

      subscriber.add(
        entries$
          .pipe(
            tap(() => {
              gathered += 1;
            }),
            batch({ ...limits, ...gathering, room }),
          )
          .subscribe({ next: shareOut, error: (error) => subscriber.error(error), complete: drain }),
      );
    });
}

/** The entries of each stream, in their order. */
function sharesOf<P>(gathered: Batch<P>): ReadonlyMap<string, Batch<P>> {
  const shares = new Map<string, Entry<P>[]>();
  for (const entry of gathered) {
    const { stream } = entry.written;
    const share = shares.get(stream);
    if (share === undefined) shares.set(stream, [entry]);
    else share.push(entry);
  }
  return shares;
}

/**
 * Most shares fit into one batch. Others are cut where no transaction is split, but for one that is itself too large.
 * They are whole already: the transaction's last event may be in another stream's share.
 */
function batchesOf<P>(
  share: Batch<P>,
  {
    maxItems = share.length,
    maxBytes = Number.POSITIVE_INFINITY,
    maxTransactionItems = share.length,
    maxTransactionBytes = Number.POSITIVE_INFINITY,
  }: BatchOptions<Entry<P>>,
): readonly Batch<P>[] {
  const bytes = share.reduce((sum, { written }) => sum + written.bytes, 0);
  if (share.length <= maxItems && bytes <= maxBytes) return [share];

  const batches: Batch<P>[] = [];
  let open: Entry<P>[] = [];
  let openBytes = 0;
  // Where the newest transaction in `open` begins, and how many bytes stand before it.
  let boundary = 0;
  let boundaryBytes = 0;
  for (const entry of share) {
    const isWithin = entry.transaction !== undefined && entry.transaction.id === open.at(-1)?.transaction?.id;
    const isTooLarge =
      open.length - boundary >= maxTransactionItems || openBytes - boundaryBytes >= maxTransactionBytes;
    if (!isWithin || isTooLarge) {
      boundary = open.length;
      boundaryBytes = openBytes;
    }
    if (boundary > 0 && (open.length >= maxItems || openBytes + entry.written.bytes > maxBytes)) {
      batches.push(open.slice(0, boundary));
      open = open.slice(boundary);
      openBytes -= boundaryBytes;
      boundary = 0;
      boundaryBytes = 0;
    }
    open.push(entry);
    openBytes += entry.written.bytes;
  }
  return open.length > 0 ? [...batches, open] : batches;
}
