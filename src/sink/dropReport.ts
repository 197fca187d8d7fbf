import type { SinkStatus } from "../telemetry/status.ts";

/** Tells of dropped events: of the first one at once, then of a tenth of the buffer at a time. */
export class DropReport {
  readonly #report: (status: SinkStatus) => void;
  readonly #most: number;
  #events = 0;
  #hasTold = false;

  /** @param maxEvents - as many as the buffer holds */
  constructor(maxEvents: number, report: (status: SinkStatus) => void) {
    this.#most = maxEvents / 10;
    this.#report = report;
  }

  next(): void {
    this.#events += 1;
    if (this.#hasTold && this.#events < this.#most) return;
    this.tell();
    this.#hasTold = true;
  }

  /** Tells what was not told yet, as it is over. */
  tell(): void {
    const events = this.#events;
    this.#events = 0;
    this.#hasTold = false;
    if (events > 0) this.#report({ state: "dropped", events });
  }
}
