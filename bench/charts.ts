import { type EChartsOption, init } from "echarts";
import type { Row } from "./row.ts";

/** Draws a chart of some rows, as SVG. */
type Chart = (rows: readonly Row[]) => string;

// Readable on a light page and on a dark one.
const ink = "#7a828c";
const [own, others] = ["#d9822b", "#2b7bd9"] as const;

function colorOf(name: string): string {
  if (name.startsWith("rxadd")) return own;
  return name.includes("evalsha") ? "#3fa45b" : others;
}

function svgOf(option: EChartsOption, height: number): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width: 800, height });
  chart.setOption({
    animation: false,
    textStyle: { color: ink, fontFamily: "sans-serif" },
    grid: { left: 8, right: 70, top: 56, bottom: 40, containLabel: true },
    legend: { top: 0, itemGap: 28, textStyle: { color: ink } },
    ...option,
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

function figure(row: Row | undefined, name: string): number {
  return Number(row?.[name]);
}

function distinct<A>(values: readonly A[]): readonly A[] {
  return [...new Set(values)];
}

const thousands = (value: unknown) => Number(value).toLocaleString("en");

/** A bar a row, longest first. */
function bars(figureName: string): Chart {
  return (rows) => {
    const sorted = [...rows].sort((a, b) => figure(a, figureName) - figure(b, figureName));
    return svgOf(
      {
        xAxis: {
          type: "value",
          name: figureName,
          nameLocation: "middle",
          nameGap: 26,
          axisLabel: { hideOverlap: true },
        },
        yAxis: { type: "category", data: sorted.map(({ name }) => name), axisLabel: { color: ink } },
        grid: { left: 24, right: 70, top: 8, bottom: 40, containLabel: true },
        series: [
          {
            type: "bar",
            label: { show: true, position: "right", color: ink, formatter: ({ value }) => thousands(value) },
            data: sorted.map((row) => ({
              value: figure(row, figureName),
              itemStyle: { color: colorOf(row.name) },
            })),
          },
        ],
      },
      40 + 34 * rows.length,
    );
  };
}

/** A line a name and figure, over what a sweep changes. */
function lines(
  over: string,
  figures: readonly string[],
  { log = false, unit = figures[0] ?? "" } = {},
): Chart {
  return (rows) => {
    const points = distinct(rows.map((row) => row[over] ?? ""));
    const series = distinct(rows.map(({ name }) => name)).flatMap((name) =>
      figures.map((figureName) => ({
        type: "line" as const,
        name: figures.length === 1 ? name : `${name}, ${figureName}`,
        color: colorOf(name),
        lineStyle: { type: figureName === figures[0] ? ("solid" as const) : ("dashed" as const) },
        data: points.map((at) => {
          const value = figure(
            rows.find((row) => row.name === name && row[over] === at),
            figureName,
          );
          return Number.isNaN(value) ? null : value;
        }),
      })),
    );
    return svgOf(
      {
        xAxis: {
          type: "category",
          name: over,
          nameLocation: "middle",
          nameGap: 26,
          data: points.map(thousands),
          boundaryGap: false,
        },
        yAxis: log ? { type: "log", name: unit } : { type: "value", name: unit, min: 0 },
        series,
      },
      320,
    );
  };
}

/** A box of a flame graph. */
interface Box {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly depth: number;
}

/** Lays folded stacks out as an icicle, callers above what they call. */
function boxesOf(rows: readonly Row[]): readonly Box[] {
  const boxes: Box[] = [];
  const stacks = rows
    .map((row) => ({ path: row.name.split(";"), us: figure(row, "µs/event") }))
    .sort((a, b) => (a.path.join(";") < b.path.join(";") ? -1 : 1));

  function lay(some: typeof stacks, depth: number, start: number): void {
    let from = start;
    for (const name of distinct(some.map(({ path }) => path[depth]))) {
      const own = some.filter(({ path }) => path[depth] === name);
      const us = own.reduce((sum, stack) => sum + stack.us, 0);
      if (name !== undefined) {
        boxes.push({ name, from, to: from + us, depth });
        lay(own, depth + 1, from);
      }
      from += us;
    }
  }
  lay(stacks, 0, 0);
  return boxes;
}

const flameGraph: Chart = (rows) => {
  const boxes = boxesOf(rows);
  const deepest = Math.max(...boxes.map(({ depth }) => depth));
  const hue = (name: string) =>
    ({
      rxjs: "#c06fa8",
      ioredis: "#d95b43",
      Node: "#5b9bd5",
      "(idle)": "#b8bec6",
      idle: "#b8bec6",
      "garbage collection": "#8a7fc0",
    })[name] ?? "#e0a33c";
  return svgOf(
    {
      xAxis: { type: "value", name: "µs/event", min: 0, nameLocation: "middle", nameGap: 26 },
      yAxis: { type: "value", show: false, inverse: true, min: 0, max: deepest + 1 },
      grid: { left: 8, right: 20, top: 8, bottom: 40, containLabel: true },
      series: [
        {
          type: "custom",
          data: boxes.map(({ from, to, depth }) => [from, to, depth]),
          renderItem: ({ dataIndex }, api) => {
            const box = boxes[dataIndex];
            const [left = 0, top = 0] = api.coord([box?.from ?? 0, box?.depth ?? 0]);
            const [right = 0, bottom = 0] = api.coord([box?.to ?? 0, (box?.depth ?? 0) + 1]);
            const shape = {
              x: left,
              y: top,
              width: Math.max(0, right - left - 0.5),
              height: bottom - top - 1,
            };
            return {
              type: "rect",
              shape,
              style: { fill: hue(box?.name ?? "") },
              textContent: {
                type: "text",
                style: {
                  text: box?.name ?? "",
                  fontSize: 10,
                  fill: "#111",
                  overflow: "truncate",
                  width: shape.width - 4,
                },
              },
              textConfig: {
                position: "insideLeft",
                distance: 2,
                ...(shape.width < 26 && { outsideFill: "none" }),
              },
            };
          },
        },
      ],
    },
    48 + 17 * (deepest + 1),
  );
};

/** The chart of each section that has one. */
export const charts: Readonly<Record<string, Chart>> = {
  rows: bars("events/s"),
  throughput: bars("events/s"),
  latency: lines("events/s", ["p50 ms", "p99 ms"], { log: true, unit: "ms" }),
  memory: lines("events", ["RSS MiB"]),
  flame: flameGraph,
  "event-size": lines("event bytes", ["events/s"], { log: true }),
  "batch-size": lines("batch size", ["events/s"]),
  window: lines("window", ["events/s"]),
  streams: lines("streams", ["events/s"]),
};
