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
    // First: whoever is told may make the source go on.
    this.#hasTold = true;
    this.#tell();
  }

  /** It is over: tells what was not told yet. */
  end(): void {
    this.#hasTold = false;
    this.#tell();
  }

  #tell(): void {
    const events = this.#events;
    this.#events = 0;
    if (events > 0) this.#report({ state: "dropped", events });
  }
}
