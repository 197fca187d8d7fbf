import { stripVTControlCharacters, styleText } from "node:util";
import type { ChangeEvent } from "rxadd";
import type { Verdict } from "./verifier.ts";

/** All that the demo shows. */
export interface View extends Verdict {
  readonly seconds: number;
  readonly committed: number;
  readonly transactions: number;
  readonly checkpoint: string;
  readonly redisPort: number | string;
  /** Of the page. */
  readonly url: string;
  readonly metricsUrl: string;
  readonly state: string;
}

const number = new Intl.NumberFormat("en");
const bars = "▁▂▃▄▅▆▇█";

function sparkline(values: readonly number[]): string {
  const most = Math.max(1, ...values);
  return values.map((value) => bars[Math.round((value / most) * (bars.length - 1))]).join("");
}

function quantile(sorted: readonly number[], share: number): string {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return value === undefined ? "–" : `${value} ms`;
}

function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

function cut(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text;
}

function describe({ op, before, after }: ChangeEvent): string {
  const words: Readonly<Record<string, string>> = { c: "insert", u: "update", d: "delete", r: "row" };
  return `${(words[op] ?? op).padEnd(7)} ${JSON.stringify(after ?? before)}`;
}

/** Where to look at the same from outside. */
export function hints({ redisPort, metricsUrl }: Pick<View, "redisPort" | "metricsUrl">): string[] {
  return [
    `Read the stream   redis-cli -p ${redisPort} XREVRANGE orders.events + - COUNT 3`,
    `See the metrics   curl ${metricsUrl}`,
  ];
}

/** The whole screen, as lines. */
export function screen(view: View, width: number): string[] {
  const dim = (text: string) => styleText("dim", text);
  const field = (name: string, value: string) => `  ${dim(name.padEnd(16))}${value}`;
  const behind = view.committed - view.verified + view.missing;
  const lines = [
    `${styleText("bold", "rxadd")}  PostgreSQL → Redis Stream orders.events, exactly once  ${dim(clock(view.seconds))}`,
    "",
    `  ${styleText("bold", view.url)}  shows all of it in a browser, and lets you break it`,
    "",
    field(
      "Shop",
      `${number.format(view.committed)} row changes committed in ${number.format(view.transactions)} transactions`,
    ),
    field(
      "Stream",
      `${number.format(view.rows)} rows that were there, ${number.format(view.verified)} changes, each exactly once and in order, ${behind === 0 ? "nothing missing" : `${number.format(Math.max(0, behind))} on their way`}`,
    ),
    field(
      "Rate",
      `${number.format(view.rates.at(-1) ?? 0)} events/s  ${styleText("cyan", sparkline(view.rates))}`,
    ),
    field("Commit → reader", `p50 ${quantile(view.latencies, 0.5)}   p99 ${quantile(view.latencies, 0.99)}`),
    field("Checkpoint LSN", view.checkpoint),
    field("State", view.state),
    "",
    `  ${dim("Newest entries")}`,
    ...view.newest.map(([id, event]) => `  ${styleText("yellow", id)}  ${describe(event)}`),
    "",
    ...hints(view).map((hint) => `  ${hint}`),
    `  ${dim("Ctrl-C finishes what is queued, and says whether the stream holds exactly what was committed.")}`,
  ];
  return lines.map((line) =>
    stripVTControlCharacters(line).length > width ? cut(stripVTControlCharacters(line), width) : line,
  );
}

/** One line, for output that is not a terminal. */
export function statusLine(view: View): string {
  return [
    clock(view.seconds),
    `${number.format(view.committed)} committed`,
    `${number.format(view.verified)} in the stream`,
    `${number.format(view.rates.at(-1) ?? 0)} events/s`,
    `p50 ${quantile(view.latencies, 0.5)}, p99 ${quantile(view.latencies, 0.99)}`,
    `checkpoint ${view.checkpoint}`,
  ].join("  ");
}
