import type { TableReader } from "./tableReader.ts";
import type { Visibility } from "./visibility.ts";

/** Of so many transactions it is remembered that they were told; then it is asked which of them everybody sees. */
const maxTold = 50_000;

/**
 * Remembers which transactions were told, as long as they may be unseen: a commit stands in the log before others see it, for as
 * long as a standby takes to confirm it.
 */
export class ToldTransactions {
  readonly #look: TableReader["look"];
  #told = new Set<number>();
  /** Those that may have been told before any that it remembers, or are known to be told and unseen; undefined: it is not known which. */
  #doubted: readonly number[] | undefined;
  #isLooking = false;

  constructor(look: TableReader["look"]) {
    this.#look = look;
  }

  add(xid: number): void {
    this.#told.add(xid);
    if (this.#told.size > maxTold) this.#forgetSeen();
  }

  /** Nothing is to be read any more. */
  forget(): void {
    this.#told = new Set();
    this.#doubted = undefined;
  }

  /** Whether all that was told before those that it remembers is seen. */
  async isKnown(): Promise<boolean> {
    if (this.#doubted?.length === 0) return true;
    const { seen, open } = await this.#look();
    const doubted = this.#doubted ?? seen.running;
    this.#doubted = doubted.filter((xid) => !seen.sees(xid) && !open.has(xid) && !this.#told.has(xid));
    return this.#doubted.length === 0;
  }

  /** Those that were told up to now; from now on it remembers others. */
  take(): ReadonlySet<number> {
    const told = this.#told;
    this.#told = new Set();
    return told;
  }

  /** Whether a moment has seen all that were taken; if not, `isKnown` tells when those that it has not are seen. */
  areSeen(taken: ReadonlySet<number>, moment: Visibility): boolean {
    this.#doubted = [...taken].filter((xid) => !moment.sees(xid));
    return this.#doubted.length === 0;
  }

  /** Asks which of them everybody sees by now. */
  #forgetSeen(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const told = this.#told;
    this.#look().then(
      ({ seen }) => {
        for (const xid of told) if (seen.sees(xid)) told.delete(xid);
        this.#isLooking = false;
      },
      () => {
        this.#isLooking = false; // it is closed, or will be, or nothing is left to be read
      },
    );
  }
}
