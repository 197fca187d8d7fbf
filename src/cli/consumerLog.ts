import type { ConsumerStatus } from "../consumer/index.ts";
import { attemptText, logOf } from "./log.ts";

/** Logs what a consumer does. */
export const consumerLog = () => logOf(describe, "reading");

function describe(status: ConsumerStatus): string | undefined {
  switch (status.state) {
    case "connecting":
      return "connecting";
    case "opened":
      return `${status.stream}: reading${status.isNew ? ", and made the group" : ""}`;
    case "retrying":
      return attemptText(status);
    case "gap":
      return `${status.stream}: ${status.missed ?? "an unknown number of"} entries were trimmed unread, after ${status.after} and before ${status.before}`;
    case "claimed":
      return `${status.stream}: took over ${status.entries} deliveries of other consumers`;
    case "lost":
      return `${status.stream}: another consumer took over ${status.entryId}`;
    case "deleted":
      return `${status.stream}: deleted before they were handled: ${status.entryIds.join(", ")}`;
    case "rejected":
      return `${status.stream}: ${status.entryId} failed, trying again in ${Math.round(status.delayMs)} ms: ${status.reason}`;
    case "deadLetter":
      return `${status.stream}: set ${status.entryId} aside: ${status.reason}`;
    case "warning":
      return `warning: ${status.message}`;
    case "reading":
    case "draining":
    case "closed":
      return undefined;
  }
}
