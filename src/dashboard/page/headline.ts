import type { SinkSnapshot } from "../sinkSnapshot.ts";
import { count, duration, number } from "./format.ts";

/** How well a sink is. */
export type Mood = "good" | "idle" | "trouble" | "bad";

/** What a sink is doing, in words. */
export interface Headline {
  readonly mood: Mood;
  readonly title: string;
  /** Changes with the state alone: read aloud by screen readers. */
  readonly reason: string;
  /** Changes with the numbers. */
  readonly detail: string;
}

/** After so long without an answer it is said. */
const patienceMs = 1500;

/** Puts a status into words for somebody who sees the page for the first time. */
export function headlineOf(status: SinkSnapshot): Headline {
  const { state, sinceMs, atMs, buffer, isPaused } = status;
  const waiting = waitingText(buffer.items, isPaused);
  switch (state.name) {
    case "publishing":
      return publishing(status);
    case "starting":
      return {
        mood: "idle",
        title: "Not started",
        reason: "Nobody has subscribed to the sink yet.",
        detail: "",
      };
    case "connecting":
      return {
        mood: "idle",
        title: "Connecting",
        reason: "Opening the connection to Redis.",
        detail: waiting,
      };
    case "retrying":
      return {
        mood: "trouble",
        title: "Retrying",
        reason: state.cause.message,
        detail: `For ${duration(atMs - sinceMs)}. Attempt ${state.attempt + 1} ${next(state.nextAttemptMs - atMs)}. ${waiting}`,
      };
    case "rewound":
      return {
        mood: "trouble",
        title: "Going back",
        reason: "Redis has lost what it had acknowledged; the source sends it again.",
        detail: state.cause.message,
      };
    case "behind":
      return {
        mood: "bad",
        title: "Behind",
        reason: state.cause.message,
        detail: "The other sinks go on without it, until the next start.",
      };
    case "fenced":
      return {
        mood: "bad",
        title: "Fenced",
        reason: "Another process has taken over this sink; this one has stopped.",
        detail: state.cause.message,
      };
    case "failed":
      return { mood: "bad", title: "Failed", reason: state.cause.message, detail: "" };
    case "closed":
      return { mood: "idle", title: "Closed", reason: "It is done, or was stopped.", detail: "" };
  }
}

function publishing({ eventsPerSecond, buffer, isPaused, waitingMs, streams }: SinkSnapshot): Headline {
  const [stream = "Redis"] = streams;
  const into = streams.length > 1 ? `${stream} and ${count(streams.length - 1, "other stream")}` : stream;
  if (waitingMs > patienceMs) {
    return {
      mood: "trouble",
      title: "Waiting for Redis",
      reason: "Redis is connected and does not answer.",
      detail: `For ${duration(waitingMs)}. ${waitingText(buffer.items, isPaused)}`,
    };
  }
  return eventsPerSecond > 0
    ? {
        mood: "good",
        title: "Publishing",
        reason: `Into ${into}.`,
        detail: `${number(eventsPerSecond)} events a second. ${waitingText(buffer.items, isPaused)}`,
      }
    : {
        mood: "good",
        title: "Publishing",
        reason: `Into ${into}.`,
        detail: "Nothing to do: all events are in Redis.",
      };
}

function waitingText(items: number, isPaused: boolean): string {
  if (items === 0) return "";
  const paused = isPaused ? " The source is told to wait." : "";
  return `${count(items, "event waits", "events wait")} in memory, none is lost.${paused}`;
}

function next(ms: number): string {
  return ms > 0 ? `in ${duration(ms)}` : "now";
}
