import type { RxaddError } from "../errors/rxaddError.ts";

/** What a sink is doing, told apart by `state`: for logs, health checks and dashboards. */
export type SinkStatus =
  | { readonly state: "connecting" }
  | {
      readonly state: "opened";
      readonly stream: string;
      /** This run's epoch; writers with a lower one are fenced from now on. */
      readonly epoch: number;
      /** Where the stream stands; undefined on a first run. */
      readonly position: unknown;
      /** Entries that were in the stream before this sink's first run. */
      readonly foreignEntries: number;
    }
  | { readonly state: "publishing" }
  | {
      readonly state: "retrying";
      /** The attempt that failed, from 1. */
      readonly attempt: number;
      /** Until the next one, in whole ms. */
      readonly delayMs: number;
      readonly cause: RxaddError;
    }
  | { readonly state: "paused"; readonly events: number; readonly bytes: number }
  | { readonly state: "resumed" }
  | { readonly state: "rewound"; readonly cause: RxaddError }
  | {
      /** An event was set aside; it stands in the stream of the dead letters. */
      readonly state: "deadLetter";
      readonly id: string | undefined;
      readonly position: unknown;
      readonly cause: RxaddError;
    }
  | {
      /** Of several sinks the others go on without this one, which does so from its own position at the next start. */
      readonly state: "behind";
      /** Where it stands; undefined where that is not known. */
      readonly position: unknown;
      readonly cause: Error;
    }
  | {
      /** Events were in the stream already, and were left out. */
      readonly state: "replayed";
      readonly stream: string;
      readonly events: number;
      /** Where the last of them stands. */
      readonly position: unknown;
    }
  | {
      /** Redis has lost events that it had acknowledged, and there is no source that could send them again. */
      readonly state: "lost";
      readonly stream: string;
      /** How many, as far as is known. */
      readonly events: number;
    }
  | {
      /** The buffer was full, and events were dropped, as `buffer.overflow` says. */
      readonly state: "dropped";
      /** How many since this was told before. */
      readonly events: number;
    }
  | { readonly state: "warning"; readonly message: string }
  /** Ended: with an error of the sink or of its source, or because it was done or unsubscribed. */
  | { readonly state: "closed"; readonly cause: Error | undefined };
