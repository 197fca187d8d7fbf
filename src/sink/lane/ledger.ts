import { randomUUID } from "node:crypto";
import {
  concatMap,
  defer,
  ignoreElements,
  type MonoTypeOperatorFunction,
  map,
  type Observable,
  tap,
  zip,
} from "rxjs";
import { rxaddError } from "../../errors/rxaddError.ts";
import { shownPosition } from "../../event/lsn.ts";
import { hasOrder } from "../../event/positions.ts";
import type { LedgerLine, LedgerReply } from "../../redis/publish/ledger.ts";
import type { LaneKeys, OpenedState, OpenReply, PublishPort } from "../../redis/publish/publishPort.ts";
import type { Entry } from "../encode/entry.ts";
import type { AcknowledgedBatch } from "./lane.ts";
import { type Found, type LookOptions, look, type Resumption } from "./ledgerLook.ts";
import { ledgerPages } from "./ledgerPages.ts";
import { nowhere, storedPosition } from "./stand.ts";
import { isBefore, isBehind, withoutOrder } from "./standOrder.ts";
import { fenced } from "./verdictError.ts";

export interface LedgerOptions<P> extends LookOptions<P> {
  /** What follows when Redis does not answer as it should. */
  readonly retry: <A>() => MonoTypeOperatorFunction<A>;
  /** Begin although the ledger is gone while lanes stand that were opened under it. */
  readonly adopt: boolean;
}

/**
 * Keeps the ledger of a sink whose computed streams stand on several servers: one position for all lanes, which is never
 * ahead of any of them.
 *
 * Each writing is one step and says: all events up to `position` are in their lanes, if these stand where it says. So
 * whatever a failover has lost, of a lane or of the ledger itself, is found by comparing: a lane that stands before its
 * line has lost acknowledged batches, and the source goes on where that one stands.
 */
export class Ledger<P> {
  /** Opens the ledger, which fences every other writer's, and looks where each lane stands. Emits once, completes. */
  readonly opened$: Observable<Resumption<P>>;
  readonly #options: LedgerOptions<P>;
  readonly #owner = randomUUID();
  #found: Found<P> | undefined;
  #pages = ledgerPages(new Map());
  /** Whether the lanes may still be at what they had when the newest page was written. */
  #isCatchingUp = false;
  #reached: P | undefined;
  #sequence = 0;
  /** The newest page that stands. */
  #written = 0;
  #isChecked = false;

  constructor(options: LedgerOptions<P>) {
    this.#options = options;
    this.opened$ = defer(() => options.store.open(this.#owner, randomUUID())).pipe(
      concatMap((state) => look(options, state)),
      options.retry(),
      tap((found) => {
        this.#found = found;
        this.#sequence = found.state.sequence;
        this.#written = found.state.sequence;
        this.#pages = ledgerPages(found.back);
        this.#isCatchingUp = found.written !== undefined;
      }),
    );
  }

  /** Where the source was opened; undefined: at its beginning. Once the ledger is open. */
  start(): P | undefined {
    return this.#opened.position;
  }

  /** How the lanes' producer states tell who has opened them. Once the ledger is open. */
  laneOwner(): string {
    return `${this.#opened.state.name}/${this.#owner}`;
  }

  /** Opens lanes only if they are this writer's to open, and have what the ledger says. */
  guard(publishPort: PublishPort): PublishPort {
    const { store } = this.#options;
    return {
      ...publishPort,
      open: (keys, laneOwner, adopting) =>
        defer(() => zip(store.trace(keys.state), this.#lineOf(keys.stream ?? ""))).pipe(
          tap(([trace]) => this.#checkName(keys.state, trace.owner)),
          concatMap(([, line]) =>
            publishPort
              .open(keys, laneOwner, adopting)
              .pipe(tap((found) => this.#laneOpened(keys, line, found))),
          ),
        ),
    };
  }

  /** Told of each entry before it is published: fails with PositionInvalid where positions have no order. */
  arrived({ position }: Entry<P>): void {
    if (this.#isChecked || position === undefined) return;
    if (!hasOrder(this.#options.positions, position)) throw withoutOrder(this.#options, position);
    this.#isChecked = true;
  }

  /** Told of each batch that a lane has. */
  acknowledged({ stream, stand: { position, ahead } }: AcknowledgedBatch<P>): void {
    if (position === "" && ahead === "") return;
    const stand = { position, ahead };
    // What was there when that was written, the ledger knows.
    const isNews = () =>
      !this.#isCatchingUp ||
      isBehind(this.#options, { ...nowhere, position: this.#opened.state.position }, stand);
    this.#pages.movedTo(stream, stand, isNews);
  }

  /** Told how far all lanes are together. */
  reached(position: P): void {
    if (isBefore(this.#options, this.#reached, position)) this.#reached = position;
  }

  /** Writes down that all up to a position is in the lanes; completes when that stands. */
  write(position: P): Observable<never> {
    const { store, positions, retry } = this.#options;
    return defer(() => {
      this.#sequence += 1;
      this.#isCatchingUp = false;
      const page = {
        owner: this.#owner,
        epoch: this.#opened.epoch,
        sequence: this.#sequence,
        position: positions.encode(this.#reached ?? position),
        lanes: this.#pages.take(),
      };
      return store.write(page).pipe(
        tap((reply) => this.#check(reply)),
        retry(),
        tap(() => {
          this.#written = page.sequence;
        }),
        ignoreElements(),
      );
    });
  }

  /** Where a position lies beside the one that was written when the ledger was opened: before it (less than 0), there (0), or after it. */
  beside(position: P): number {
    const { written } = this.#opened;
    if (isBefore(this.#options, position, written)) return -1;
    return isBefore(this.#options, written, position) ? 1 : 0;
  }

  /** How many lanes have moved since the last writing. */
  moved(): number {
    return this.#pages.moved();
  }

  get #opened(): Found<P> {
    if (this.#found === undefined) throw new Error("the ledger is not open");
    return this.#found;
  }

  #decode(text: string): P | undefined {
    return storedPosition(this.#options.positions, this.#options.key, text);
  }

  /** What is known of a lane: what this writer has yet to write down, or the ledger's line. */
  #lineOf(stream: string): Observable<LedgerLine> {
    return this.#options.store.line(stream).pipe(
      map((line) => {
        this.#checkLedger(line.ledger);
        return { ...line, ...this.#pages.standOf(stream) };
      }),
    );
  }

  /**
   * Only who has opened the ledger last may open lanes: it would take them from their owner. And a ledger that has lost
   * pages says too little of a lane that has lost batches with it: what is published there next would hide them.
   */
  #checkLedger({ owner, epoch, sequence }: LedgerLine["ledger"]): void {
    if (owner !== this.#owner && epoch >= this.#opened.epoch) this.#check({ reply: "fenced", epoch });
    if (owner !== this.#owner || sequence < this.#written) this.#check({ reply: "lost", position: "" });
  }

  /** A lane may have been opened under a ledger that is gone. */
  #checkName(stateKey: string, laneOwner: string): void {
    const { key, adopt } = this.#options;
    const [name, mark] = laneOwner.split("/");
    if (mark === undefined || name === this.#opened.state.name || adopt) return;
    throw rxaddError(
      "ProducerStateMissing",
      `${key}: the sink's position is gone but ${stateKey} stands, which was written under it: nobody knows what other streams have lost; restore it, or delete all streams and producer states of this sink; or start once with adopt: true, which goes on with what is there`,
    );
  }

  #laneOpened({ stream = "", state }: LaneKeys, line: LedgerLine, found: OpenReply): void {
    if (found.reply === "gone") return;
    this.#checkStanding(state, found, line);
    const begin = this.#reached ?? this.#opened.position;
    if (found.sequence === 0 && begin !== undefined)
      this.#pages.began(stream, this.#options.positions.encode(begin));
  }

  /** Redis may have lost something since the ledger was opened, and since the lane was closed. */
  #checkStanding(stateKey: string, state: OpenedState, line: LedgerLine): void {
    const stand = state.position === "" && state.ahead === "" ? { ...nowhere, position: line.begin } : state;
    if (!isBehind(this.#options, stand, line)) return;
    throw rxaddError(
      "RewindRequired",
      `${stateKey}: found position ${shownPosition(state.position) || "(beginning)"}, but what was acknowledged goes on to ${shownPosition(line.position)}: Redis has lost batches; send again from there`,
      undefined,
      { position: this.#decode(stand.position) },
    );
  }

  /** Turns what was found into success or an error. */
  #check(reply: LedgerReply): void {
    const { key } = this.#options;
    if (reply.reply === "fenced") throw fenced(key, this.#opened.epoch, reply.epoch);
    if (reply.reply === "lost") {
      throw rxaddError(
        "RewindRequired",
        `${key}: Redis has lost the sink's newest positions; send again from position ${shownPosition(reply.position) || "(beginning)"}`,
        undefined,
        { position: this.#decode(reply.position) },
      );
    }
  }
}
