const half = 2 ** 31;
const whole = 2 ** 32;

/** Which transactions one moment of a server sees, as `pg_current_snapshot()` tells it. */
export class Visibility {
  readonly #min: number;
  readonly #max: number;
  readonly #running: ReadonlySet<number>;

  /** @param text - such as `10:20:10,14,15`: all below 10 have ended, none from 20 on, nor the three that are named */
  constructor(text: string) {
    const [min, max, running = ""] = text.split(":");
    this.#min = Number(min);
    this.#max = Number(max);
    this.#running = new Set(running === "" ? [] : running.split(",").map(Number));
  }

  /** Those that had begun and not ended. */
  get running(): readonly number[] {
    return [...this.#running].map((xid) => xid % whole);
  }

  /** @param xid - 32 bits of it, as the log tells them */
  sees(xid: number): boolean {
    // The one of its kind that is nearest: no two transactions of the log are half a round apart.
    let whole64 = this.#max - (this.#max % whole) + xid;
    if (whole64 > this.#max + half) whole64 -= whole;
    else if (whole64 < this.#max - half) whole64 += whole;
    return whole64 < this.#min || (whole64 < this.#max && !this.#running.has(whole64));
  }
}
