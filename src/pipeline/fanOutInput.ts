import { Observable, Subject } from "rxjs";

/** What one sink is given: each event at once, or when it is open. */
export class FanOutInput<T> {
  readonly #input = new Subject<T>();
  readonly #maxLate: number;
  readonly #overflowed: () => void;
  /** What came before it was open; undefined: it is. */
  #late: T[] | undefined = [];

  /** @param overflowed - told when more than `maxLate` events came before it was open */
  constructor(maxLate: number, overflowed: () => void) {
    this.#maxLate = maxLate;
    this.#overflowed = overflowed;
  }

  /** What the sink subscribes to; `left` is told when it takes no more. */
  events$(left: () => void): Observable<T> {
    return new Observable((chain) => {
      chain.add(left);
      chain.add(this.#input.subscribe(chain));
    });
  }

  /** Gives it an event. */
  next(event: T): void {
    if (this.#late === undefined) {
      this.#input.next(event);
      return;
    }
    this.#late.push(event);
    if (this.#late.length > this.#maxLate) this.#overflowed();
  }

  /** It is open: what came before goes first, also before what comes meanwhile. */
  open(): void {
    for (let late = this.#late; late !== undefined && late.length > 0; late = this.#late) {
      this.#late = [];
      for (const event of late) this.#input.next(event);
    }
    this.#late = undefined;
  }

  /** Nothing more comes. */
  end(): void {
    this.#input.complete();
  }

  /** Nothing more is for it. */
  drop(): void {
    this.#late = undefined;
  }
}
