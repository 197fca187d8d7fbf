import { isStreamTemplate } from "../options/codecs.ts";
import type { SinkStatus } from "../telemetry/status.ts";
import { statusText } from "../telemetry/statusText.ts";
import type { Cause, Notice, SinkState } from "./sinkSnapshot.ts";

const maxNotices = 20;
const maxStreams = 12;

/** What a sink is doing, by what it reports, and what there is to tell of it. */
export class SinkCondition {
  readonly #clock: () => number;
  readonly #notices: Notice[] = [];
  /** In the order of their last checkpoint. */
  readonly #streams = new Set<string>();
  #state: SinkState = { name: "starting" };
  #sinceMs: number;
  #isPaused = false;
  #epoch: number | undefined;
  #counts = { retries: 0, rewinds: 0, deadLetters: 0 };
  /** What keeps it from publishing, and since when. */
  #trouble: { readonly sinceMs: number; readonly text: string } | undefined;

  constructor(clock: () => number) {
    this.#clock = clock;
    this.#sinceMs = clock();
  }

  now() {
    return {
      state: this.#state,
      sinceMs: this.#sinceMs,
      isPaused: this.#isPaused,
      epoch: this.#epoch,
      streams: [...this.#streams].reverse(),
      ...this.#counts,
      notices: [...this.#notices],
    };
  }

  /** It writes to a stream. */
  useStream(stream: string): void {
    this.#streams.delete(stream);
    this.#streams.add(stream);
    const [oldest] = this.#streams;
    if (this.#streams.size > maxStreams && oldest !== undefined) this.#streams.delete(oldest);
  }

  /** @param waiting - how many events are in its buffer */
  told(status: SinkStatus, waiting: number): void {
    if (beginsEmpty(status)) this.#isPaused = false;
    switch (status.state) {
      case "connecting":
        if (this.#state.name !== "rewound") this.#enter({ name: "connecting" });
        break;
      case "opened":
        this.#epoch = status.epoch;
        if (!isStreamTemplate(status.stream) && status.stream !== "(computed)") this.useStream(status.stream);
        this.#notice("info", statusText(status));
        this.#enter({ name: "publishing" });
        break;
      case "publishing":
        this.#recovered(waiting);
        this.#enter({ name: "publishing" });
        break;
      case "retrying": {
        const { attempt, delayMs } = status;
        const cause = causeOf(status.cause);
        this.#counts.retries += 1;
        this.#inTrouble(`retrying: ${cause.message}`);
        this.#enter({ name: "retrying", cause, attempt, nextAttemptMs: this.#clock() + delayMs });
        break;
      }
      case "paused":
        this.#isPaused = true;
        break;
      case "resumed":
        this.#isPaused = false;
        break;
      case "rewound":
        this.#counts.rewinds += 1;
        this.#inTrouble(statusText(status));
        this.#enter({ name: "rewound", cause: causeOf(status.cause) });
        break;
      case "behind":
        this.#notice("error", statusText(status));
        this.#enter({ name: "behind", cause: causeOf(status.cause) });
        break;
      case "deadLetter":
        this.#counts.deadLetters += 1;
        this.#notice("warning", statusText(status));
        break;
      case "lost":
      case "dropped":
        this.#notice("error", statusText(status));
        break;
      case "warning":
        this.#notice("warning", status.message);
        break;
      case "closed":
        if (status.cause === undefined) this.#enter({ name: "closed" });
        else this.#ended(status.cause);
    }
  }

  #notice(level: Notice["level"], text: string): void {
    this.#notices.unshift({ atMs: this.#clock(), level, text });
    this.#notices.splice(maxNotices);
  }

  #enter(next: SinkState): void {
    if (next.name !== this.#state.name) this.#sinceMs = this.#clock();
    this.#state = next;
  }

  #recovered(waiting: number): void {
    if (this.#trouble === undefined) return;
    const waited = waiting > 0 ? `; ${events(waiting)} waited, none is lost` : "";
    this.#notice("info", `publishing again ${seconds(this.#clock() - this.#trouble.sinceMs)}${waited}`);
    this.#trouble = undefined;
  }

  #inTrouble(text: string): void {
    // One line for an outage, not one for each attempt; another reason is another line.
    if (text !== this.#trouble?.text) this.#notice("warning", text);
    this.#trouble = { sinceMs: this.#trouble?.sinceMs ?? this.#clock(), text };
  }

  #ended(error: Error): void {
    const cause = causeOf(error);
    this.#enter({ name: cause.tag === "Fenced" ? "fenced" : "failed", cause });
    this.#notice("error", `ended: ${cause.message}`);
  }
}

/** Whether it has nothing in memory from now on, whatever it had before. */
export function beginsEmpty({ state }: SinkStatus): boolean {
  return state === "connecting" || state === "rewound" || state === "behind" || state === "closed";
}

function causeOf(error: Error): Cause {
  return {
    tag: "_tag" in error && typeof error._tag === "string" ? error._tag : error.name,
    message: error.message,
  };
}

function seconds(ms: number): string {
  return ms < 100 ? "at once" : `after ${(ms / 1000).toFixed(1)} s`;
}

function events(count: number): string {
  return count === 1 ? "1 event" : `${count.toLocaleString("en")} events`;
}
