import { reasonOf } from "../errors/reasonOf.ts";
import type { ConsumerStatus } from "./consumerStatus.ts";
import { positionText } from "./positionText.ts";
import type { AnyStatus } from "./states.ts";
import type { SinkStatus } from "./status.ts";

type Of<S extends { readonly state: string }, State extends S["state"]> = Extract<S, { state: State }>;

/** Puts what a sink or a consumer is doing into a line for people. */
export function statusText(status: AnyStatus): string {
  switch (status.state) {
    case "connecting":
    case "publishing":
    case "reading":
      return status.state;
    case "opened":
      return "epoch" in status ? openedText(status) : readingText(status);
    case "retrying":
      return `attempt ${status.attempt} failed, trying again in ${Math.round(status.delayMs)} ms: ${status.cause.message}`;
    case "paused":
      return `paused the source: ${status.events} events, ${status.bytes} bytes are waiting`;
    case "resumed":
      return "resumed the source";
    case "rewound":
      return `going back: ${status.cause.message}`;
    case "behind":
      return `behind, until the next start: ${status.cause.message}`;
    case "replayed":
      return `${status.stream}: left out ${status.events} events up to position ${positionText(status.position)}, which it holds already`;
    case "deadLetter":
      return "entryId" in status
        ? `${status.stream}: set ${status.entryId} aside: ${status.reason}`
        : `set aside${status.position === undefined ? "" : ` at position ${positionText(status.position)}`}: ${status.cause.message}`;
    case "gap":
      return `${status.stream}: ${status.missed ?? "an unknown number of"} entries were trimmed unread, after ${status.after} and before ${status.before}`;
    case "claimed":
      return `${status.stream}: took over ${status.entries} deliveries of other consumers`;
    case "lost":
      return "entryId" in status
        ? `${status.stream}: another consumer took over ${status.entryId}`
        : `${status.stream}: Redis has lost ${status.events} acknowledged events of this run, and nobody can send them again; goes on with what is still held`;
    case "dropped":
      return `dropped ${status.events} events: the buffer is full, and the source goes on`;
    case "gone":
      return `${status.stream}: ${status.entryId} is not pending any more, nothing of it was written`;
    case "deleted":
      return `${status.stream}: deleted before they were handled: ${status.entryIds.join(", ")}`;
    case "rejected":
      return `${status.stream}: ${status.entryId} failed, trying again in ${Math.round(status.delayMs)} ms: ${reasonOf(status.reason)}`;
    case "draining":
      return `reading no more, waiting for ${status.deliveries} deliveries`;
    case "warning":
      return status.message;
    case "closed":
      return status.cause === undefined ? "closed" : `closed: ${status.cause.message}`;
  }
}

function openedText({ stream, position, epoch, foreignEntries }: Of<SinkStatus, "opened">): string {
  const start = position === undefined ? "at its beginning" : `after position ${positionText(position)}`;
  const others = foreignEntries > 0 ? `; it holds ${foreignEntries} entries of others` : "";
  return `${stream}: publishing ${start}, epoch ${epoch}${others}`;
}

function readingText({ stream, isNew }: Of<ConsumerStatus, "opened">): string {
  return `${stream}: reading${isNew ? ", and made the group" : ""}`;
}
