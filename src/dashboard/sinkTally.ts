import { isNone } from "fp-ts/lib/Option.js";
import { isStreamTemplate } from "../options/codecs.ts";
import { eventRate } from "../telemetry/eventRate.ts";
import { positionText } from "../telemetry/positionText.ts";
import type { SinkMetrics } from "../telemetry/sinkReport.ts";
import type { Status } from "../telemetry/status.ts";
import { statusText } from "../telemetry/statusText.ts";
import type { Cause, Notice, SinkState, SinkStatus } from "./sinkSnapshot.ts";
import { slidingHistogram } from "./slidingHistogram.ts";

/** Adds up what a sink reports. */
export interface SinkTally extends Required<SinkMetrics> {
  /** What it comes to by now. */
  readonly now: () => SinkStatus;
}

const maxNotices = 20;
const maxStreams = 12;
const noFill = { items: 0, bytes: 0 };

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

/** Begins with nothing; `clock` gives ms since 1970. */
export function sinkTally(sink: string, clock: () => number): SinkTally {
  const latencyMicros = slidingHistogram(5000);
  const batchSizes = slidingHistogram(5000);
  const rate = eventRate(1000);
  const notices: Notice[] = [];
  /** In the order of their last checkpoint. */
  const streams = new Set<string>();
  let total = { events: 0, batches: 0, bytes: 0, retries: 0, rewinds: 0, deadLetters: 0 };
  let state: SinkState = { name: "starting" };
  let sinceMs = clock();
  /** What keeps it from publishing, and since when. */
  let trouble: { readonly sinceMs: number; readonly text: string } | undefined;
  let isPaused = false;
  let epoch: number | undefined;
  let buffer = { ...noFill, maxItems: 0, maxBytes: 0 };
  /** Since when something waits, or since when it has waited for the next acknowledgement. */
  let waitingSinceMs: number | undefined;
  let checkpoint: SinkStatus["checkpoint"];
  /** When what is safe happened in the source, and how long after that it was safe. */
  let safe: { readonly eventMs: number; readonly lagMs: number } | undefined;

  function notice(level: Notice["level"], text: string): void {
    notices.unshift({ atMs: clock(), level, text });
    notices.splice(maxNotices);
  }

  function enter(next: SinkState): void {
    if (next.name !== state.name) sinceMs = clock();
    state = next;
  }

  function useStream(stream: string): void {
    streams.delete(stream);
    streams.add(stream);
    const [oldest] = streams;
    if (streams.size > maxStreams && oldest !== undefined) streams.delete(oldest);
  }

  function forgetBuffer(): void {
    buffer = { ...buffer, ...noFill };
    waitingSinceMs = undefined;
    isPaused = false;
  }

  function recovered(): void {
    if (trouble === undefined) return;
    const waiting = buffer.items > 0 ? `; ${events(buffer.items)} waited, none is lost` : "";
    notice("info", `publishing again ${seconds(clock() - trouble.sinceMs)}${waiting}`);
    trouble = undefined;
  }

  function inTrouble(level: Notice["level"], text: string): void {
    // One line for an outage, not one for each attempt; another reason is another line.
    if (text !== trouble?.text) notice(level, text);
    trouble = { sinceMs: trouble?.sinceMs ?? clock(), text };
  }

  function ended(error: Error): void {
    const cause = causeOf(error);
    enter({ name: cause.tag === "Fenced" ? "fenced" : "failed", cause });
    notice("error", `ended: ${cause.message}`);
  }

  function status(status: Status): void {
    switch (status.state) {
      case "connecting":
        forgetBuffer();
        if (state.name !== "rewound") enter({ name: "connecting" });
        break;
      case "opened":
        epoch = status.epoch;
        if (!isStreamTemplate(status.stream) && status.stream !== "(computed)") useStream(status.stream);
        notice("info", statusText(status));
        enter({ name: "publishing" });
        break;
      case "publishing":
        recovered();
        enter({ name: "publishing" });
        break;
      case "retrying": {
        const { attempt, delayMs } = status;
        const cause = causeOf(status.cause);
        total = { ...total, retries: total.retries + 1 };
        inTrouble("warning", `retrying: ${cause.message}`);
        enter({ name: "retrying", cause, attempt, nextAttemptMs: clock() + delayMs });
        break;
      }
      case "paused":
        isPaused = true;
        break;
      case "resumed":
        isPaused = false;
        break;
      case "rewound":
        total = { ...total, rewinds: total.rewinds + 1 };
        forgetBuffer();
        inTrouble("warning", statusText(status));
        enter({ name: "rewound", cause: causeOf(status.cause) });
        break;
      case "behind":
        forgetBuffer();
        notice("error", statusText(status));
        enter({ name: "behind", cause: causeOf(status.cause) });
        break;
      case "deadLetter":
        total = { ...total, deadLetters: total.deadLetters + 1 };
        notice("warning", statusText(status));
        break;
      case "warning":
        notice("warning", status.message);
        break;
      case "closed":
        forgetBuffer();
        if (isNone(status.cause)) enter({ name: "closed" });
        else ended(status.cause.value);
    }
  }

  /** While something waits, what is safe grows older. */
  function behindMs(nowMs: number): number | undefined {
    if (safe === undefined) return undefined;
    return Math.max(0, buffer.items > 0 ? nowMs - safe.eventMs : safe.lagMs);
  }

  return {
    status,
    published: (batch) => {
      const nowMs = clock();
      total = {
        ...total,
        events: total.events + batch.events,
        batches: total.batches + 1,
        bytes: total.bytes + batch.bytes,
      };
      latencyMicros.record(batch.latencySeconds * 1e6, nowMs);
      batchSizes.record(batch.events, nowMs);
    },
    buffered: (fill) => {
      if (fill.items === 0) waitingSinceMs = undefined;
      else if (buffer.items === 0 || fill.items < buffer.items) waitingSinceMs = clock();
      buffer = fill;
    },
    checkpoint: ({ position, stream, entryId, sequence }, eventMs) => {
      const atMs = clock();
      if (stream !== "") useStream(stream);
      checkpoint = {
        position: position === undefined ? "" : positionText(position),
        stream,
        entryId,
        sequence,
        atMs,
      };
      if (eventMs !== undefined) safe = { eventMs, lagMs: atMs - eventMs };
    },
    now: () => {
      const nowMs = clock();
      const latency = latencyMicros.now(nowMs);
      const sizes = batchSizes.now(nowMs);
      return {
        sink,
        atMs: nowMs,
        state,
        sinceMs,
        isPaused,
        epoch,
        streams: [...streams].reverse(),
        ...total,
        eventsPerSecond: rate.at(nowMs, total.events),
        latencyMs: latency && { p50: latency.p50 / 1000, p99: latency.p99 / 1000 },
        batchEvents: sizes && { mean: sizes.mean, max: sizes.max },
        buffer,
        waitingMs: waitingSinceMs === undefined ? 0 : nowMs - waitingSinceMs,
        checkpoint,
        behindMs: behindMs(nowMs),
        notices: [...notices],
      };
    },
  };
}
