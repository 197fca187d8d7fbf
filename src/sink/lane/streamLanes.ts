import { type Observer, type OperatorFunction, Subject, type Subscriber, Subscription } from "rxjs";
import type { BatchOptions } from "../../../operators/batch.ts";
import type { Batch, Entry } from "../encode/entry.ts";
import { batchesOf } from "./shares.ts";

export interface StreamLanesOptions<P> {
  /** When a batch of one stream is full. */
  readonly limits: BatchOptions<Entry<P>>;
  /** Most lanes at once, >= 1; entries of further streams wait until one of them has nothing to do. */
  readonly maxLanes: number;
}

/** Publishes batches of a stream, one result for each; tells whether it takes more. */
export type PublishTo<P, A> = (
  stream: string,
  room: Pick<Observer<boolean>, "next">,
) => OperatorFunction<Batch<P>, A>;

/** A stream that has something to publish, or had until a moment ago. */
interface StreamLane<P> {
  /** Undefined: it waits until it may be opened. */
  input?: Subject<Batch<P>>;
  /** Its shares that have no room yet. */
  readonly waiting: Batch<P>[];
  hasRoom: boolean;
  unanswered: number;
}

/** The lanes of all streams that have something to publish, of which so many are open at once. */
export class StreamLanes<P, A> {
  readonly #options: StreamLanesOptions<P>;
  readonly #publishTo: PublishTo<P, A>;
  readonly #subscriber: Subscriber<A>;
  readonly #lanes = new Map<string, StreamLane<P>>();
  /** Lanes with nothing to do, the one that has rested longest first. */
  readonly #resting = new Set<string>();
  /** Streams that have no lane yet, in the order in which they asked. */
  readonly #asking = new Set<string>();
  #open = 0;
  /** How many of them are about to give their places away. */
  #closing = 0;
  #isOpening = false;
  #isDrained = false;

  constructor(options: StreamLanesOptions<P>, publishTo: PublishTo<P, A>, subscriber: Subscriber<A>) {
    this.#options = options;
    this.#publishTo = publishTo;
    this.#subscriber = subscriber;
  }

  /** Gives each stream its share. */
  take(shares: ReadonlyMap<string, Batch<P>>): void {
    for (const [stream, share] of shares) {
      const lane = this.#laneOf(stream);
      lane.waiting.push(share);
      this.#resting.delete(stream);
      if (lane.input === undefined) this.#asking.add(stream);
      else this.#send(lane);
    }
    this.#openLanes();
  }

  /** No more comes: each lane is completed as soon as it has nothing to do. */
  drain(): void {
    this.#isDrained = true;
    this.#resting.clear();
    for (const lane of [...this.#lanes.values()]) if (isIdle(lane)) lane.input?.complete();
    this.#endWhenDone();
  }

  #laneOf(stream: string): StreamLane<P> {
    const known = this.#lanes.get(stream);
    if (known !== undefined) return known;
    const lane = { waiting: [], hasRoom: true, unanswered: 0 };
    this.#lanes.set(stream, lane);
    return lane;
  }

  /** In a loop: what it closes and opens comes back here at once. */
  #openLanes(): void {
    if (this.#isOpening) return;
    this.#isOpening = true;
    while (!this.#subscriber.closed && (this.#openNext() || this.#closeNext())) {}
    this.#isOpening = false;
  }

  #openNext(): boolean {
    const [stream] = this.#asking;
    if (stream === undefined || this.#open >= this.#options.maxLanes) return false;
    this.#asking.delete(stream);
    this.#openLane(stream, this.#laneOf(stream));
    return true;
  }

  /** One that rests gives its place to another; what comes next for its stream is given to a new lane. */
  #closeNext(): boolean {
    const [stream] = this.#resting;
    if (stream === undefined || this.#closing >= this.#asking.size) return false;
    const lane = this.#lanes.get(stream);
    this.#resting.delete(stream);
    this.#lanes.delete(stream);
    this.#closing += 1;
    lane?.input?.complete();
    return true;
  }

  #openLane(stream: string, lane: StreamLane<P>): void {
    this.#open += 1;
    const input = new Subject<Batch<P>>();
    const room = {
      next: (hasRoom: boolean) => {
        lane.hasRoom = hasRoom;
        this.#send(lane);
      },
    };
    const running = new Subscription();
    this.#subscriber.add(running);
    running.add(
      input.pipe(this.#publishTo(stream, room)).subscribe({
        next: (answer) => {
          lane.unanswered -= 1;
          this.#subscriber.next(answer);
          if (isIdle(lane)) this.#rest(stream, lane);
        },
        error: (error) => this.#subscriber.error(error),
        complete: () => {
          this.#subscriber.remove(running);
          this.#open -= 1;
          if (this.#lanes.get(stream) === lane) this.#lanes.delete(stream);
          else this.#closing -= 1;
          this.#openLanes();
          this.#endWhenDone();
        },
      }),
    );
    // Who has not subscribed yet would miss it.
    lane.input = input;
    this.#send(lane);
  }

  #send(lane: StreamLane<P>): void {
    const { input, waiting } = lane;
    while (input !== undefined && lane.hasRoom && waiting.length > 0 && !this.#subscriber.closed) {
      const [next = [], ...later] = batchesOf(waiting.splice(0).flat(), this.#options.limits);
      waiting.push(...later);
      lane.unanswered += 1;
      input.next(next);
    }
  }

  #rest(stream: string, lane: StreamLane<P>): void {
    if (this.#isDrained) lane.input?.complete();
    else if (this.#lanes.get(stream) === lane) {
      this.#resting.add(stream);
      this.#openLanes();
    }
  }

  #endWhenDone(): void {
    if (this.#isDrained && this.#lanes.size === 0 && this.#open === 0) this.#subscriber.complete();
  }
}

function isIdle<P>({ unanswered, waiting }: StreamLane<P>): boolean {
  return unanswered === 0 && waiting.length === 0;
}
