import { isNone } from "fp-ts/lib/Option.js";
import type { Status } from "../status.ts";

/** Writes a line for people on stderr; stdout is for results. */
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
      return attemptText(status);
    case "rewound":
      return `going back: ${status.cause.message}`;
    case "behind":
      return `behind, until the next start: ${status.cause.message}`;
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

/** Logs statuses as `describe` puts them, and that it goes on after trouble. */
export function logOf<S extends { readonly state: string }>(
  describe: (status: S) => string | undefined,
  doing: S["state"],
  who = "",
): { readonly next: (status: S) => void } {
  let wasRetrying = false;
  return {
    next: (status) => {
      if (wasRetrying && status.state === doing) log(`${who}${doing} again`);
      if (status.state === "retrying" || status.state === doing) wasRetrying = status.state === "retrying";
      const text = describe(status);
      if (text !== undefined) log(`${who}${text}`);
    },
  };
}

/** Logs what a sink does; `who` goes before each line. */
export const statusLog = (who: string) => logOf(describe, "publishing", who);

/** How a failed attempt is put. */
export function attemptText({ attempt, delayMs, cause }: Extract<Status, { state: "retrying" }>): string {
  return `attempt ${attempt} failed, trying again in ${Math.round(delayMs)} ms: ${cause.message}`;
}
