import { messageOf } from "../../errors/thrown.ts";
import { withoutSecrets } from "../../errors/withoutSecrets.ts";
import type { ConsumerStatus } from "../../telemetry/consumerStatus.ts";
import { type AnyStatus, isWork, levelOf } from "../../telemetry/states.ts";
import type { SinkStatus } from "../../telemetry/status.ts";
import { statusText } from "../../telemetry/statusText.ts";
import type { Bar } from "./bar.ts";
import { UsageError } from "./exitCode.ts";
import { printable, printableLines } from "./printable.ts";

/** Writes a line for people on stderr; stdout is for results. */
export type Log = (text: string) => void;

/** Logs above the bar. A URI may stand where a stream's key or an id should. */
export function logAbove(bar: Bar): Log {
  return (text) => bar.sayLine(`rxadd: ${printable(withoutSecrets(text))}`);
}

/** Writes why the command failed. Only what it says itself of the configuration may take several lines. */
export function logFailure({ bar, log }: { readonly bar: Bar; readonly log: Log }, error: unknown): void {
  const message = messageOf(error);
  if (error instanceof UsageError) bar.sayLine(`rxadd: ${printableLines(withoutSecrets(message))}`);
  else log(message);
}

/** Logs statuses, and that it goes on with what it is `doing` after trouble; `who` goes before each line. */
function statusLogOf<S extends AnyStatus>(log: Log, doing: S["state"], who: string) {
  let wasRetrying = false;
  return {
    status: (status: S) => {
      if (wasRetrying && status.state === doing) log(`${who}${doing} again`);
      if (status.state === "retrying" || status.state === doing) wasRetrying = status.state === "retrying";
      // What goes without saying, or is said when the command ends.
      if (isWork(status) || levelOf(status) === "debug" || status.state === "closed") return;
      log(`${who}${status.state === "warning" ? "warning: " : ""}${statusText(status)}`);
    },
  };
}

/** Logs what a sink does; `who` goes before each line. */
export const statusLog = (log: Log, who: string) => statusLogOf<SinkStatus>(log, "publishing", who);

/** Logs what a consumer does. */
export const consumerLog = (log: Log) => statusLogOf<ConsumerStatus>(log, "reading", "");
