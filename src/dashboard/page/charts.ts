import { html, type TemplateResult } from "lit-html";
import type { Point } from "../history.ts";
import { duration, number } from "./format.ts";
import type { ChartData } from "./liveChart.ts";

/** What a sink's numbers were over the last minutes. */
export function chartsView(points: readonly Point[]): TemplateResult {
  const seen = withGaps(points);
  const times = seen.map(({ atMs }) => atMs);
  const chart = (title: string, format: ChartData["format"], ...lines: ChartData["lines"]) =>
    html`<live-chart .data=${{ title, times, lines, format } satisfies ChartData}></live-chart>`;
  const line = (label: string, colour: string, of: (point: Partial<Point>) => number | undefined) => ({
    label,
    colour,
    values: seen.map(of),
  });
  return html`<div class="charts">
    ${chart(
      "Events a second",
      number,
      line("published", "--first", (point) => point.eventsPerSecond),
    )}
    ${chart(
      "Publish latency",
      duration,
      line("half within", "--first", ({ p50Ms }) => p50Ms),
      line("99 % within", "--second", ({ p99Ms }) => p99Ms),
    )}
    ${chart(
      "Waiting in memory",
      number,
      line("events", "--first", ({ buffered }) => buffered),
    )}
    ${chart(
      "Behind the source",
      duration,
      line("time", "--first", ({ behindMs }) => behindMs),
    )}
  </div>`;
}

/** Where nothing was heard for longer than this, a line has a gap. */
const gapMs = 2000;

function withGaps(points: readonly Point[]): readonly (Partial<Point> & Pick<Point, "atMs">)[] {
  return points.flatMap((point, index) => {
    const before = points[index - 1];
    return before !== undefined && point.atMs - before.atMs > gapMs
      ? [{ atMs: before.atMs + 1 }, point]
      : [point];
  });
}
