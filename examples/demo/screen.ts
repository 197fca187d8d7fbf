import { stripVTControlCharacters, styleText } from "node:util";

/** All that the demo shows. */
export interface View {
  readonly seconds: number;
  readonly committed: number;
  readonly transactions: number;
  readonly published: number;
  /** Events per second, the newest last. */
  readonly rates: readonly number[];
  /** From commit to acknowledgement, in ms, sorted. */
  readonly latencies: readonly number[];
  readonly checkpoint: string;
  /** The newest entries: ID and event. */
  readonly entries: readonly (readonly [id: string, event: string])[];
  readonly redisPort: number | string;
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

function describe(event: string): string {
  const { op, before, after } = JSON.parse(event);
  const words: Readonly<Record<string, string>> = { c: "insert", u: "update", d: "delete" };
  return `${(words[op] ?? op).padEnd(7)} ${JSON.stringify(after ?? before)}`;
}

/** The commands that look at the same from outside. */
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
  const behind = view.committed - view.published;
  const lines = [
    `${styleText("bold", "rxadd")}  PostgreSQL → Redis Stream orders.events, exactly once  ${dim(clock(view.seconds))}`,
    "",
    field(
      "Shop",
      `${number.format(view.committed)} row changes committed in ${number.format(view.transactions)} transactions`,
    ),
    field(
      "Stream",
      `${number.format(view.published)} entries, ${behind === 0 ? "nothing missing" : `${number.format(Math.max(0, behind))} on their way`}`,
    ),
    field(
      "Rate",
      `${number.format(view.rates.at(-1) ?? 0)} events/s  ${styleText("cyan", sparkline(view.rates))}`,
    ),
    field("Commit → Redis", `p50 ${quantile(view.latencies, 0.5)}   p99 ${quantile(view.latencies, 0.99)}`),
    field("Checkpoint LSN", view.checkpoint),
    field("State", view.state),
    "",
    `  ${dim("Newest entries")}`,
    ...view.entries.map(([id, event]) => `  ${styleText("yellow", id)}  ${describe(event)}`),
    "",
    ...hints(view).map((hint) => `  ${hint}`),
    `  ${dim("Ctrl-C finishes what is queued, then checks the stream against the database's commits.")}`,
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
    `${number.format(view.published)} in the stream`,
    `${number.format(view.rates.at(-1) ?? 0)} events/s`,
    `p50 ${quantile(view.latencies, 0.5)}, p99 ${quantile(view.latencies, 0.99)}`,
    `checkpoint ${view.checkpoint}`,
  ].join("  ");
}
