import { html, render } from "lit-html";
import uPlot from "uplot";
import { time } from "./format.ts";

/** One line of a chart. */
export interface Line {
  readonly label: string;
  /** A custom property of the style sheet that holds its colour. */
  readonly colour: string;
  /** Values in the order of the chart's times; undefined: a gap. */
  readonly values: readonly (number | undefined)[];
}

/** What a chart shows. */
export interface ChartData {
  readonly title: string;
  /** In ms since 1970. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
}

const height = 120;
/** Less than this is not seen at once, in seconds. */
const leastSpan = 60;

/** `<live-chart .data=${…}>`: lines over the last minutes, which move on as data comes, with the values in words. */
export class LiveChart extends HTMLElement {
  #plot: uPlot | undefined;
  #data: ChartData | undefined;
  readonly #words = document.createElement("div");
  readonly #resized = new ResizeObserver(() => {
    this.#plot?.setSize({ width: this.clientWidth, height });
  });

  set data(data: ChartData) {
    this.#data = data;
    if (!this.isConnected) return;
    this.#say();
    this.#plot ??= this.#make(data);
    this.#plot.setData([
      data.times.map((ms) => ms / 1000),
      ...data.lines.map(({ values }) => [...values]),
    ] as uPlot.AlignedData);
  }

  connectedCallback(): void {
    this.prepend(this.#words);
    if (this.#data !== undefined) this.data = this.#data;
    this.#resized.observe(this);
  }

  disconnectedCallback(): void {
    this.#resized.disconnect();
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  /** The title, and each line's value where the pointer is, else the newest. */
  #say(): void {
    if (this.#data === undefined) return;
    const { title, times, lines, format } = this.#data;
    const pointed = this.#plot?.cursor.idx ?? undefined;
    const at = pointed ?? times.length - 1;
    const moment = pointed === undefined ? undefined : times[pointed];
    render(
      html`<h3>${title}${moment === undefined ? "" : html` <small>${time(moment)}</small>`}</h3>
        <ul class="legend">
          ${lines.map(({ label, colour, values }) => {
            const value = values[at];
            return html`<li><span class="swatch ${colour.slice(2)}"></span>${label} <b>${value === undefined ? "–" : format(value)}</b></li>`;
          })}
        </ul>`,
      this.#words,
    );
  }

  #colour(name: string): string {
    return getComputedStyle(this).getPropertyValue(name).trim();
  }

  #make({ lines, format }: ChartData): uPlot {
    const axis = {
      stroke: () => this.#colour("--muted"),
      grid: { stroke: () => this.#colour("--line"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    return new uPlot(
      {
        width: this.clientWidth,
        height,
        cursor: { y: false, points: { size: 6 } },
        hooks: { setCursor: [() => this.#say()] },
        legend: { show: false },
        scales: {
          x: { range: (_, min, max) => [Math.min(min, max - leastSpan), max] },
          y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] },
        },
        axes: [
          { ...axis, space: 80, size: 24, values: "{HH}:{mm}:{ss}" },
          {
            ...axis,
            size: 64,
            space: 28,
            values: (_, splits) => splits.map((value) => format(value)),
          },
        ],
        series: [
          {},
          ...lines.map(({ label, colour }) => ({
            label,
            stroke: () => this.#colour(colour),
            width: 1.5,
            spanGaps: false,
            points: { show: false },
          })),
        ],
      },
      undefined,
      this,
    );
  }
}

/** Makes `<live-chart>` known to the page. */
export function defineLiveChart(): void {
  customElements.define("live-chart", LiveChart);
}
