import {
  BehaviorSubject,
  defer,
  filter,
  Observable,
  retry,
  Subject,
  type Subscription,
  tap,
  throwError,
} from "rxjs";
import type { Flow } from "../../../operators/flow.ts";
import type { ChangeEvent, Row } from "../../../src/event/changeEvent.ts";
import { type Lsn, ordLsn } from "../../../src/event/lsn.ts";
import { heedFlow } from "../../../src/sources/heedFlow.ts";
import { confirmations } from "../../../src/sources/postgres/confirmations.ts";
import { Holdable } from "../../../src/sources/postgres/holdable.ts";
import { PgoutputDecoder } from "../../../src/sources/postgres/pgoutput.ts";
import { postgresError } from "../../../src/sources/postgres/postgresError.ts";
import { requestIn } from "../../../src/sources/postgres/snapshot/backfill.ts";
import { Snapshot, type SnapshotOptions } from "../../../src/sources/postgres/snapshot/snapshot.ts";
import { readsOf, readsText, type TableRead } from "../../../src/sources/postgres/snapshot/tableRead.ts";
import type { SnapshotProgress } from "../../../src/telemetry/snapshotProgress.ts";
import { FakeReader, type ReaderOptions } from "./fakeReader.ts";

export const slot = "slot";
export type Change = ChangeEvent<Row, Lsn>;

export interface LifeOptions extends ReaderOptions {
  readonly from: Lsn | undefined;
  /** The server sends what was committed from here on. */
  readonly confirmed: bigint;
  readonly connections: number;
  /** Whether a few changes are as many as are noted while rows are read. */
  readonly isLarge: boolean;
  readonly told: (event: Change) => void;
  readonly passed: (place: Lsn) => void;
  readonly progress: (progress: SnapshotProgress) => void;
}

/** A process that reads, as `postgresChanges` and `replicationChanges` do, but for their connections. */
export class Life {
  readonly #options: LifeOptions;
  readonly #flow = new BehaviorSubject<Flow>("resume");
  readonly #passed = new Subject<Lsn>();
  readonly #running: Subscription;
  readonly errors: unknown[] = [];
  readers: readonly FakeReader[] = [];
  snapshot: Snapshot | undefined;
  #reading: Pick<Snapshot, "text"> = { text: "" };
  acknowledge: (position: Lsn) => void;
  confirmed: () => bigint;
  /** Passes on the next messages of the log, as if they had come at once. */
  deliver: (count: number) => void = () => {};
  isHeld: () => boolean = () => false;
  lose: () => void = () => {};
  /** Whether all of the log was sent. */
  isThrough: () => boolean = () => false;

  constructor(options: LifeOptions) {
    this.#options = options;
    const { begin, connected, received, idle, pass, last, confirmed, acknowledge } = confirmations({
      passed: this.#passed,
      isOnlyMark: false,
      reads: () => this.#reading.text,
    });
    this.#passed.subscribe((place) => options.passed(place));
    this.acknowledge = acknowledge;
    this.confirmed = () => (confirmed() > options.confirmed ? confirmed() : options.confirmed);
    begin(options.from);
    const changes$ = defer(() => {
      const after = last();
      const tables = options.database.names.map((name) => ({ schema: "public", name }));
      const reads = readsAt(after, tables);
      this.#reading = { text: readsText(reads) };
      connected(this.confirmed() === 0n ? 1n : this.confirmed());
      const flowing = new BehaviorSubject<Flow>("resume");
      return this.#connection(after, { tables, reads }, flowing, { idle, pass }).pipe(
        filter(
          ({ position }) =>
            after === undefined || position === undefined || ordLsn.compare(position, after) > 0,
        ),
        tap(({ position }) => position !== undefined && received(position)),
        heedFlow(this.#flow, flowing),
      );
    }).pipe(retry({ delay: (error: unknown) => (isLost(error) ? [0] : throwError(() => error)) }));
    this.#running = changes$.subscribe({
      next: options.told,
      error: (error) => this.errors.push(error),
    });
  }

  flow(signal: Flow): void {
    if (this.#flow.value !== signal) this.#flow.next(signal);
  }

  get isPaused(): boolean {
    return this.#flow.value === "pause";
  }

  get isEnded(): boolean {
    return this.#running.closed;
  }

  end(): void {
    this.#running.unsubscribe();
  }

  #connection(
    after: Lsn | undefined,
    plan: Pick<SnapshotOptions, "tables" | "reads">,
    flow: Observable<Flow>,
    { idle, pass }: { readonly idle: (place: bigint) => void; readonly pass: () => void },
  ): Observable<Change> {
    const { database, connections, isLarge, progress } = this.#options;
    return new Observable((subscriber) => {
      let isPaused = false;
      const change = (event: Change) => subscriber.next(event);
      const fail = (error: unknown) => {
        if (!subscriber.closed && !isLost(error)) this.errors.push(error);
        subscriber.error(error);
      };
      const copies = new Holdable(take, fail);
      this.readers = Array.from({ length: connections }, () => new FakeReader(this.#options));
      const snapshot = new Snapshot({
        ...{
          db: "db",
          ...plan,
          readers: this.readers,
          emit: change,
          failed: fail,
        },
        progress: { next: progress },
        isPaused: () => isPaused,
        hold: (isHeld) => copies.hold(isHeld),
      });
      this.snapshot = snapshot;
      this.#reading = snapshot;
      const decoder = new PgoutputDecoder("db", {
        change,
        reads: () => snapshot.text,
        changed: (each) => snapshot.changed(isLarge ? { ...each, bytes: 6_000_000 } : each),
        message: (message, transaction) => {
          const request = requestIn(message, slot, transaction, after);
          if (request !== undefined) snapshot.ask(request);
          else snapshot.message(message, transaction);
        },
      });
      function take(buffer: Buffer, start: number, end: number): void {
        if (subscriber.closed) return;
        if (buffer[0] === 0x6b) {
          idle(buffer.readBigUInt64BE(1));
          pass();
        } else decoder.decode(buffer, start, end);
      }

      let at = Math.max(
        0,
        database.log.findIndex(({ place }) => place >= this.confirmed()),
      );
      let number = 0;
      this.lose = () => fail(postgresError("ConnectionLost", "lost"));
      this.isHeld = () => copies.isHeld;
      this.isThrough = () => at === database.log.length;
      this.deliver = (count) => {
        if (isPaused || copies.isHeld) return;
        try {
          for (let left = count; left > 0; left -= 1) {
            const { place, messages } = database.log[at] ?? {};
            if (place === undefined || messages === undefined) {
              const alive = Buffer.alloc(9);
              alive[0] = 0x6b;
              alive.writeBigUInt64BE(database.end + 8n, 1);
              copies.push(alive, 0, 9);
              return;
            }
            const each = messages[number];
            number += 1;
            if (number === messages.length) [at, number] = [at + 1, 0];
            if (each !== undefined) copies.push(each, 0, each.length);
          }
        } catch (error) {
          fail(error);
        }
      };
      subscriber.add(
        flow.subscribe((signal) => {
          isPaused = signal === "pause";
          snapshot.resume();
        }),
      );
      return () => snapshot.close();
    });
  }
}

function isLost(error: unknown): boolean {
  return `${error}`.includes("lost");
}

function readsAt(
  after: Lsn | undefined,
  [first]: readonly { schema: string; name: string }[],
): readonly TableRead[] {
  if (after !== undefined) {
    const reads = readsOf(after);
    if (reads === undefined) throw new Error(`no position: ${after}`);
    return reads;
  }
  return first === undefined ? [] : [{ ...first, after: undefined, isAnew: false, scope: "onward" }];
}
