import { BehaviorSubject, type Unsubscribable } from "rxjs";
import type { Flow } from "../../../operators/flow.ts";
import type { Lsn, Source } from "../../../src/index.ts";
import type { Random } from "../../faults/harness/random.ts";
import type { Change } from "../../sources/postgres/postgresBed.ts";

/** Has what it was told, and pauses and resumes whoever tells it, also within an event. */
export class BareSink {
  readonly #random: Random;
  /** Positions that were told, with their events, or without where no event was. */
  readonly #told: { readonly position: Lsn; readonly event?: Change }[] = [];
  #source: Source<Change, Lsn> | undefined;
  #safe = 1;

  constructor(random: Random) {
    this.#random = random;
  }

  get events(): readonly Change[] {
    return this.#told.flatMap(({ event }) => event ?? []);
  }

  get position(): Lsn | undefined {
    return this.#told.at(-1)?.position;
  }

  follow(source: Source<Change, Lsn>, error: (thrown: unknown) => void): Unsubscribable {
    const { between } = this.#random;
    const flow = new BehaviorSubject<Flow>("resume");
    this.#source = source;
    const passing = source.passed?.subscribe((position) => this.#told.push({ position }));
    const running = source(this.position, flow).subscribe({
      next: (event) => {
        if (event.position !== undefined) this.#told.push({ position: event.position, event });
        if (between(0, 30) > 0) return;
        flow.next("pause");
        if (between(0, 1) === 0) flow.next("resume");
        else setTimeout(() => flow.next("resume"), between(0, 30));
      },
      error,
    });
    running.add(passing);
    return running;
  }

  /** Some of what it has is safe. */
  acknowledge(): void {
    this.#safe = this.#random.between(this.#safe, Math.max(this.#safe, this.#told.length));
    const told = this.#told[this.#safe - 1];
    if (told !== undefined) this.#source?.acknowledge?.(told.position);
  }

  /** Any part may be lost of what was not safe. */
  lose(): void {
    this.#told.splice(this.#random.between(this.#safe, Math.max(this.#safe, this.#told.length)));
  }
}
