import { isNone } from "fp-ts/lib/Option.js";
import type { Status } from "../status.ts";

/** Writes a line for people on stderr; stdout is for checkpoints. */
export function log(text: string): void {
  process.stderr.write(`rxadd: ${text}\n`);
}

function describe(status: Status): string | undefined {
  switch (status.state) {
    case "connecting":
      return "connecting";
    case "opened": {
      const start = isNone(status.position) ? "at its beginning" : `after position ${status.position.value}`;
      const others = status.foreignEntries > 0 ? `; it holds ${status.foreignEntries} entries of others` : "";
      return `${status.stream}: publishing ${start}, epoch ${status.epoch}${others}`;
    }
    case "retrying":
      return `attempt ${status.attempt} failed, trying again in ${Math.round(status.delayMs)} ms: ${status.cause.message}`;
    case "rewound":
      return `going back: ${status.cause.message}`;
    case "warning":
      return `warning: ${status.message}`;
    case "deadLetter":
      return `set aside at position ${status.position}: ${status.cause.message}`;
    case "publishing":
    case "paused":
    case "resumed":
    case "closed":
      return undefined;
  }
}

/** Logs what a sink does, and that it goes on after trouble. */
export function statusLog(): { readonly next: (status: Status) => void } {
  let wasRetrying = false;
  return {
    next: (status) => {
      if (wasRetrying && status.state === "publishing") log("publishing again");
      if (status.state === "retrying" || status.state === "publishing")
        wasRetrying = status.state === "retrying";
      const text = describe(status);
      if (text !== undefined) log(text);
    },
  };
}
