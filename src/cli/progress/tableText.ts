import type { SnapshotProgress } from "../../telemetry/snapshotProgress.ts";
import type { Progress } from "./progress.ts";
import { durationText, whole } from "./progressText.ts";

/** Such as `public.orders: 1,200,000 of about 2,900,000 rows, 310,000 rows/s, 6 s left`. */
export function tableText(
  { table, rows, estimated }: Pick<SnapshotProgress, "table" | "rows" | "estimated">,
  { eventsPerSecond, secondsLeft }: Pick<Progress, "eventsPerSecond" | "secondsLeft">,
): string {
  const all = estimated === undefined ? "" : ` of about ${whole.format(estimated)}`;
  return [
    `${table}: ${whole.format(rows)}${all} rows`,
    `${whole.format(eventsPerSecond)} rows/s`,
    ...(secondsLeft === undefined ? [] : [`${durationText(secondsLeft)} left`]),
  ].join(", ");
}

/** How the reading of a table has ended; undefined: it goes on. */
export function tableEndText(progress: SnapshotProgress): string | undefined {
  const { table, rows } = progress;
  switch (progress.state) {
    case "reading":
      return undefined;
    case "read":
      return `${table}: ${whole.format(rows)} rows read`;
    case "refused":
      return `warning: ${table}: not read: ${progress.error.message}`;
  }
}
