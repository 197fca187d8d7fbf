import { BehaviorSubject, Observable, type OperatorFunction, tap } from "rxjs";
import { type BatchOptions, batch } from "../../../operators/batch.ts";
import type { Entry } from "../encode/entry.ts";
import { sharesOf } from "./shares.ts";
import { type PublishTo, StreamLanes, type StreamLanesOptions } from "./streamLanes.ts";

/** How {@link byStream} gathers, and how much it keeps. */
export interface ByStreamOptions<P> extends StreamLanesOptions<P> {
  /** At most so much is gathered before it is shared out. */
  readonly gathering: Required<Pick<BatchOptions<unknown>, "maxItems" | "maxBytes">>;
  /** Does something in the next turn of the event loop, when what has come by then is there. */
  readonly nextTurn: (work: () => void) => void;
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
  options: ByStreamOptions<P>,
  publishTo: PublishTo<P, A>,
): OperatorFunction<Entry<P>, A> {
  return (entries$) =>
    new Observable((subscriber) => {
      const gathering = gatheringOf(options);
      const lanes = new StreamLanes(options, publishTo, subscriber);
      subscriber.add(
        entries$
          .pipe(tap(gathering.came), batch({ ...options.limits, ...options.gathering, room: gathering.room }))
          .subscribe({
            next: (entries) => {
              gathering.pause(entries.length);
              const shares = sharesOf(entries);
              lanes.take(shares);
              gathering.goOn(shares.size * (options.limits.maxItems ?? entries.length));
            },
            error: (error) => subscriber.error(error),
            complete: () => lanes.drain(),
          }),
      );
    });
}

/** Holds entries up while the source emits without a pause. */
function gatheringOf({ gathering, nextTurn }: ByStreamOptions<never>) {
  const room = new BehaviorSubject(true);
  let gathered = 0;

  /** Goes on when a turn has brought nothing more, or there is enough for full batches. */
  function goOn(enough: number): void {
    const before = gathered;
    nextTurn(() => {
      const isEnough = gathered >= Math.min(enough, gathering.maxItems * 0.9);
      if (gathered > before && !isEnough) goOn(enough);
      else room.next(true);
    });
  }

  return {
    room,
    goOn,
    came: () => {
      gathered += 1;
    },
    /** So many are shared out; the next ones wait. */
    pause: (entries: number) => {
      gathered -= entries;
      room.next(false);
    },
  };
}
