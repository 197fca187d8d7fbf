import { catchError, map, type Observable, of, throwError } from "rxjs";
import { type RxaddError, rxaddError } from "../../errors/rxaddError.ts";
import type { BatchNumber } from "../../redis/publish/protocol.ts";
import type { LaneKeys, OpenedState, PublishPort, PublishReply } from "../../redis/publish/publishPort.ts";
import { type Batch, isDelivered } from "../encode/entry.ts";
import type { AcknowledgedBatch, OpenedLane } from "./lane.ts";
import { type Numbered, Numbering, type NumberingOptions } from "./numbering.ts";
import { storedPosition } from "./stand.ts";
import { findingError, withSizeHint } from "./verdictError.ts";

/** How a lane begins: with what Redis has of it, and under whose name it goes on. */
export interface Begun extends OpenedState {
  readonly keys: LaneKeys;
  /** Tells this opening from every other one. */
  readonly owner: string;
}

export interface LaneRunOptions<P> extends NumberingOptions<P> {
  readonly publishPort: PublishPort;
  /** Whether the source is opened where the lane stands: then it is asked to send again what Redis has lost. */
  readonly isResuming: boolean;
  /** Told what the user should know although the lane goes on. */
  readonly warned: (message: string) => void;
  /** In ms. */
  readonly now: () => number;
}

/** Up to where a run is still there after a loss. */
export interface Left {
  /** Its newest batch. */
  readonly sequence: number;
  /** How many of its events at least. */
  readonly events: number;
}

/** What becomes of a batch when Redis has lost acknowledged ones; `left` is undefined where nothing is known to be there. */
type Lost<P> = (run: LaneRun<P>, left: Left | undefined) => RxaddError;

/** Of so many of the newest batches is known how many events they had. */
const mostCounted = 1000;

/**
 * A lane from one opening to its end or to a loss: numbers the batches, leaves out events that are already
 * in the stream, and turns what Redis found into success or an RxaddError.
 */
export class LaneRun<P> implements OpenedLane<P> {
  readonly epoch: number;
  readonly position: P | undefined;
  readonly foreignEntries: number;
  readonly #options: LaneRunOptions<P>;
  readonly #begun: Begun;
  readonly #lost: Lost<P>;
  readonly #numbering: Numbering<P>;
  /** The newest batch that is there. */
  #newest: { readonly sequence: number; readonly entryId: string };
  /** How many events this run's batches had, the newest one last. */
  readonly #counts: number[] = [];
  #events = 0;
  /** The newest batch that was sent, and when that was for the first time. */
  #sent: number;
  #sentMs = 0;

  /** @param lost - asked where the lane goes on all the same */
  constructor(options: LaneRunOptions<P>, begun: Begun, lost: Lost<P>) {
    const { keys, epoch, sequence, position, entryId, foreignEntries } = begun;
    this.#options = options;
    this.#begun = begun;
    this.#lost = lost;
    this.epoch = epoch;
    this.position = this.#decode(position);
    this.foreignEntries = foreignEntries;
    this.#numbering = new Numbering(options, keys, begun, begun, this.position);
    this.#newest = { sequence, entryId };
    this.#sent = sequence;
  }

  /** How many events of it are acknowledged. */
  get events(): number {
    return this.#events;
  }

  /** Publishes a batch, or finds it published; safe to repeat. Batches are first given in order. */
  publish(batch: Batch<P>): Observable<AcknowledgedBatch<P>> {
    const numbered = this.#numbering.of(batch);
    const { sent, entries } = numbered;
    if (sent === undefined) return of(this.#acknowledged(batch, numbered, this.#newest.entryId));
    if (sent.sequence > this.#sent) {
      this.#sent = sent.sequence;
      this.#sentMs = this.#options.now();
    }
    return this.#options.publishPort.publish(this.#begun.keys, sent).pipe(
      map((reply) => this.#acknowledged(batch, numbered, this.#check(reply, sent))),
      catchError((error) => throwError(() => withSizeHint(error, entries))),
    );
  }

  /** The number under which a batch was acknowledged; undefined: it was not. */
  acknowledgedAs(batch: Batch<P>): number | undefined {
    const sequence = this.#numbering.find(batch)?.sequence;
    return sequence !== undefined && sequence <= this.#newest.sequence ? sequence : undefined;
  }

  /** Waits until all up to a batch is durable; emits once. One of an earlier run that is still there goes before all of this one. */
  confirm({ batch, stream }: AcknowledgedBatch<P>): Observable<unknown> {
    const { keys, owner, epoch } = this.#begun;
    const known = this.#numbering.find(batch);
    if (known === undefined && this.#newest.sequence === 0) return throwError(() => sentAnew(keys.state));
    const upTo = { owner, epoch, sequence: known?.sequence ?? this.#newest.sequence };
    const confirmed$ = this.#options.publishPort.confirm?.(keys, upTo, stream);
    return confirmed$?.pipe(map((reply) => this.#check(reply, upTo))) ?? of(undefined);
  }

  /** Nothing is on its way, and the state may have expired, or soon will have. */
  hasRested(): boolean {
    const { expiresMs } = this.#begun.keys;
    if (expiresMs === undefined || this.#sent !== this.#newest.sequence) return false;
    return this.#sent > 0 && this.#ageMs() > expiresMs / 2;
  }

  /** Whether the state may have expired while a batch was on its way: nobody knows then what of it is there. */
  mayHaveExpired(): boolean {
    const { expiresMs } = this.#begun.keys;
    return expiresMs !== undefined && this.#ageMs() >= expiresMs;
  }

  #ageMs(): number {
    return this.#options.now() - this.#sentMs;
  }

  /** Turns what Redis found into the ID of the newest entry, or an error. */
  #check(reply: PublishReply, sent: BatchNumber): string {
    const { keys } = this.#begun;
    if (reply.reply !== "published") {
      const { sequence } = this.#newest;
      const error = findingError(reply, keys, sent, sequence, (text) => this.#decode(text));
      const isLoss = error.kind === "rewind" || error._tag === "ProducerStateMissing";
      if (!isLoss || this.#options.isResuming || this.#numbering.isPlaced) throw error;
      throw this.#lost(this, reply.reply === "gap" ? this.#leftAt(reply.sequence) : undefined);
    }
    // Of computed streams there may be new ones at any time.
    if (reply.isRenewed && keys.stream !== undefined)
      this.#options.warned(`${keys.stream} was deleted; it begins anew with batch ${sent.sequence}`);
    return reply.entryId;
  }

  #acknowledged(
    batch: Batch<P>,
    { entries, sequence, replayed, stand }: Numbered<P>,
    entryId: string,
  ): AcknowledgedBatch<P> {
    if (sequence > this.#newest.sequence) {
      this.#newest = { sequence, entryId };
      this.#events += entries.length;
      this.#counts.push(entries.length);
      if (this.#counts.length > mostCounted) this.#counts.shift();
    }
    const stream = this.#begun.keys.stream ?? newestStreamOf(batch);
    return { stream, batch, published: entries, replayed, stand, sequence, entryId };
  }

  #leftAt(sequence: number): Left {
    const gone = this.#counts.slice(sequence - this.#newest.sequence);
    return { sequence, events: this.#events - gone.reduce((sum, events) => sum + events, 0) };
  }

  #decode(text: string): P | undefined {
    return storedPosition(this.#options.positions, this.#begun.keys.state, text);
  }
}

/** What becomes of a batch that Redis did not take because it has lost one before it, of which nothing is left. */
export function sentAnew(state: string): RxaddError {
  return rxaddError(
    "EarlierBatchFailed",
    `${state}: Redis has lost acknowledged batches; what is not acknowledged is sent again`,
  );
}

/** Of a batch over several streams: that of its last entry which is no dead letter. */
function newestStreamOf<P>(batch: Batch<P>): string {
  const last = batch.findLast(isDelivered) ?? batch.at(-1);
  return last?.stream ?? "";
}
