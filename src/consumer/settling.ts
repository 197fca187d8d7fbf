import { randomUUID } from "node:crypto";
import {
  asapScheduler,
  defer,
  EMPTY,
  exhaustMap,
  forkJoin,
  ignoreElements,
  type MonoTypeOperatorFunction,
  type Observable,
  of,
  repeat,
  Subject,
  startWith,
  subscribeOn,
  tap,
} from "rxjs";
import type { GroupPort } from "../redis/group/groupConnection.ts";
import { sizeOf } from "../redis/group/settlement.ts";
import { type Asked, SettlingCall } from "./settlingCall.ts";

/** Most settlements of one round. */
const maxItems = 1000;

/** Most bytes of them: a call is built as a whole, and Redis does nothing else meanwhile. */
const maxBytes = 8 * 1024 * 1024;

/**
 * Settles deliveries in the order in which that is asked for: what is asked for while one round is under way goes with
 * the next one.
 */
export class Settling {
  /** Does what is asked for while it is subscribed to; errors when Redis refuses for good. Never emits. */
  readonly run$: Observable<never>;
  readonly #wanted$ = new Subject<void>();
  readonly #run = randomUUID();
  #tokens = 0;
  #hasEnded = false;
  // What has yet to get into a round: each but the last is full.
  readonly #waiting: Asked[][] = [];
  #open: Asked[] = [];
  #openBytes = 0;
  // What is under way.
  #calls: readonly SettlingCall[] = [];

  constructor(connection: Pick<GroupPort, "settle">, resend: MonoTypeOperatorFunction<unknown>) {
    const round$ = defer(() => {
      if (this.#calls.length === 0) this.#calls = this.#callsFor(this.#waiting.shift() ?? []);
      return forkJoin(this.#calls.map((call) => call.send(connection)));
    }).pipe(
      tap(() => {
        this.#calls = [];
      }),
      resend,
      repeat({ delay: () => (this.#waiting.length > 0 ? of(true) : EMPTY) }),
    );
    this.run$ = this.#wanted$.pipe(
      startWith(undefined),
      // What is asked for without a pause goes together.
      exhaustMap(() => round$.pipe(subscribeOn(asapScheduler))),
      ignoreElements(),
    );
  }

  ask(asked: Asked): void {
    if (this.#hasEnded) {
      asked.done("gone");
      return;
    }
    const size = sizeOf(asked);
    this.#openBytes += size;
    const isFull = this.#open.length >= maxItems || this.#openBytes > maxBytes;
    if (this.#waiting.length > 0 && !isFull) {
      this.#open.push(asked);
      return;
    }
    this.#open = [asked];
    this.#openBytes = size;
    this.#waiting.push(this.#open);
    this.#wanted$.next();
  }

  /** Nothing is held any more: what is asked for all the same, or has no answer yet, is told as gone. */
  end(): void {
    this.#hasEnded = true;
    const unsettled = [...this.#calls.flatMap(({ asked }) => asked), ...this.#waiting.flat()];
    this.#calls = [];
    this.#waiting.length = 0;
    for (const one of unsettled) one.done("gone");
  }

  /** One for each stream. */
  #callsFor(asked: readonly Asked[]): readonly SettlingCall[] {
    const streams = [...new Set(asked.map(({ stream }) => stream))];
    return streams.map((name) => {
      const own = streams.length === 1 ? asked : asked.filter(({ stream }) => stream === name);
      return new SettlingCall(name, own, () => this.#newToken());
    });
  }

  #newToken(): string {
    this.#tokens += 1;
    return `${this.#run}:${this.#tokens}`;
  }
}
