/** Told of a message, where it lies in a buffer that is written to no more. */
type Take = (...message: readonly [buffer: Buffer, start: number, end: number]) => void;

/**
 * Passes messages on as they come, and keeps them while it is told to hold: reading stops only after what was read at once.
 *
 * - **Memory** the rest of what was read at once.
 */
export class Holdable {
  readonly #take: Take;
  readonly #failed: (error: unknown) => void;
  #held: Parameters<Take>[] = [];
  #isReleasing = false;
  isHeld = false;

  /** @param failed - told of what `take` throws for a message that was kept */
  constructor(take: Take, failed: (error: unknown) => void) {
    this.#take = take;
    this.#failed = failed;
  }

  push(buffer: Buffer, start: number, end: number): void {
    if (this.isHeld || this.#held.length > 0) this.#held.push([buffer, start, end]);
    else this.#take(buffer, start, end);
  }

  hold(isHeld: boolean): void {
    this.isHeld = isHeld;
    if (isHeld || this.#isReleasing) return;
    this.#isReleasing = true;
    try {
      this.#release();
    } catch (error) {
      this.#failed(error);
    }
    this.#isReleasing = false;
  }

  #release(): void {
    let count = 0;
    for (const message of this.#held) {
      if (this.isHeld) break;
      count += 1;
      this.#take(...message);
    }
    this.#held = this.#held.slice(count);
  }
}
