import { html, nothing, type TemplateResult } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import type { RedisFigures, ShownEntry, StreamFigures } from "../../redisFigures.ts";
import type { Point } from "../history.ts";
import type { Notice, SinkStatus } from "../sinkStatus.ts";
import { bytes, count, duration, number, time } from "./format.ts";
import { headlineOf } from "./headline.ts";
import type { ChartData } from "./liveChart.ts";
import type { PageState } from "./state.ts";
import { nextTheme, type Theme } from "./theme.ts";

/** The whole page. All that it shows stands in text: lit escapes it. */
export function pageView(state: PageState, theme: Theme): TemplateResult {
  return html`
    <header>
      <h1>rxadd</h1>
      <p class="connection" role="status">${connectionText(state)}</p>
      <button type="button" @click=${nextTheme}>Theme: ${theme}</button>
    </header>
    <main>
      ${state.sinks.map((status) => sinkView(status, state.redis[status.sink], state.history[status.sink] ?? []))}
    </main>
  `;
}

function connectionText({ connection, sinks }: PageState): string {
  switch (connection) {
    case "connecting":
      return "Connecting to the process …";
    case "lost":
      return "No word from the process that publishes: it has stopped, or cannot be reached. Asking again …";
    case "live":
      return `Live, ${count(sinks.length, "sink")}`;
  }
}

function sinkView(
  status: SinkStatus,
  redis: RedisFigures | undefined,
  points: readonly Point[],
): TemplateResult {
  const { mood, title, reason, detail } = headlineOf(status);
  return html`
    <section class="sink" aria-label="Sink ${status.sink}">
      <div class="headline ${mood}">
        <div role="status">
          <h2>${status.sink}</h2>
          <p class="state"><span class="lamp" aria-hidden="true"></span>${title}</p>
          <p class="reason">${reason}</p>
        </div>
        <p class="detail">${detail}</p>
      </div>
      ${tilesView(status)} ${chartsView(points)}
      <div class="columns">
        ${noticesView(status.notices)} ${redis === undefined ? nothing : redisView(redis)}
      </div>
    </section>
  `;
}

function tilesView(status: SinkStatus): TemplateResult {
  const { latencyMs, batchEvents, buffer, checkpoint, behindMs, retries, rewinds, deadLetters } = status;
  return html`
    <dl class="tiles">
      ${tile("Events a second", number(status.eventsPerSecond), `${count(status.events, "event")} delivered`)}
      ${tile(
        "Publish latency",
        latencyMs === undefined ? "–" : duration(latencyMs.p50),
        latencyMs === undefined ? "no batch lately" : `99 % within ${duration(latencyMs.p99)}`,
      )}
      ${tile(
        "Events a batch",
        batchEvents === undefined ? "–" : number(batchEvents.mean),
        batchEvents === undefined ? "no batch lately" : `at most ${number(batchEvents.max)}`,
      )}
      ${tile(
        "Waiting in memory",
        number(buffer.items),
        html`<meter
            aria-label="Buffer"
            min="0"
            max="100"
            low="50"
            high="90"
            optimum="0"
            value=${fillPercent(status)}
          ></meter>
          of ${number(buffer.maxItems)}; ${bytes(buffer.bytes)} of ${bytes(buffer.maxBytes)}`,
      )}
      ${tile("Behind the source", behindMs === undefined ? "–" : duration(behindMs), behindText(behindMs))}
      ${tile(
        "Checkpoint",
        html`<span class="position">${checkpoint === undefined || checkpoint.position === "" ? "–" : checkpoint.position}</span>`,
        checkpoint === undefined ? "none yet" : `all up to here is safe, since ${time(checkpoint.atMs)}`,
      )}
      ${tile("Retries", number(retries), rewinds === 0 ? "since it is watched" : `gone back ${count(rewinds, "time")}`)}
      ${tile("Set aside", number(deadLetters), "dead letters")}
    </dl>
  `;
}

function tile(name: string, value: unknown, note: unknown): TemplateResult {
  return html`<div>
    <dt>${name}</dt>
    <dd class="value">${value}</dd>
    <dd class="note">${note}</dd>
  </div>`;
}

function fillPercent({ buffer }: SinkStatus): number {
  const share = Math.max(buffer.items / (buffer.maxItems || 1), buffer.bytes / (buffer.maxBytes || 1));
  return Math.round(share * 100);
}

function behindText(behindMs: number | undefined): string {
  return behindMs === undefined ? "the events have no ts_ms" : "from the change to the checkpoint";
}

function chartsView(points: readonly Point[]): TemplateResult {
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

function noticesView(notices: readonly Notice[]): TemplateResult {
  return html`<section aria-label="What happened">
    <h3>What happened</h3>
    ${
      notices.length === 0
        ? html`<p class="note">Nothing yet.</p>`
        : html`<ol class="notices">
            ${notices.map(
              ({ atMs, level, text }) =>
                html`<li class=${level}><time>${time(atMs)}</time> <span>${text}</span></li>`,
            )}
          </ol>`
    }
  </section>`;
}

function redisView({ atMs, memoryBytes, maxMemoryBytes, streams }: RedisFigures): TemplateResult {
  return html`<section aria-label="Redis">
    <h3>Redis</h3>
    <p>${memoryText(memoryBytes, maxMemoryBytes)} <small class="note">Asked at ${time(atMs)}.</small></p>
    ${streams.map(streamView)}
  </section>`;
}

function memoryText(used: number | undefined, max: number | undefined): string {
  if (used === undefined) return "Its memory is not for this user to see (INFO).";
  return max === undefined || max === 0
    ? `${bytes(used)} of memory used; there is no limit.`
    : `${bytes(used)} of ${bytes(max)} memory used.`;
}

function streamView({ stream, length, memoryBytes, groups, entries }: StreamFigures): TemplateResult {
  return html`<div class="stream">
    <h4>${stream}</h4>
    <p>
      ${length === undefined ? "Its length is not for this user to see." : count(length, "entry", "entries")}${
        memoryBytes === undefined ? "" : `, ${bytes(memoryBytes)}`
      }
    </p>
    ${
      groups === undefined || groups.length === 0
        ? html`<p class="note">No consumer group reads it.</p>`
        : html`<table>
            <caption>
              Consumer groups
            </caption>
            <thead>
              <tr>
                <th scope="col">Group</th>
                <th scope="col">Not read</th>
                <th scope="col">Not acknowledged</th>
                <th scope="col">Consumers</th>
              </tr>
            </thead>
            <tbody>
              ${groups.map(
                ({ group, lag, pending, consumers }) =>
                  html`<tr>
                    <th scope="row">${group}</th>
                    <td>${lag === undefined ? "unknown" : number(lag)}</td>
                    <td>${number(pending)}</td>
                    <td>${number(consumers)}</td>
                  </tr>`,
              )}
            </tbody>
          </table>`
    }
    ${entries === undefined || entries.length === 0 ? nothing : entriesView(stream, entries)}
  </div>`;
}

function entriesView(stream: string, entries: readonly ShownEntry[]): TemplateResult {
  return html`<h5>Newest entries</h5>
    <div class="entries">
      ${repeat(
        entries,
        ({ entryId }) => `${stream} ${entryId}`,
        ({ entryId, fields }) =>
          html`<details>
            <summary><code>${entryId}</code> <span>${summaryOf(fields)}</span></summary>
            <dl>
              ${fields.map(
                ([name, value]) =>
                  html`<dt>${name}</dt>
                    <dd><pre tabindex="0">${pretty(value)}</pre></dd>`,
              )}
            </dl>
          </details>`,
      )}
    </div>`;
}

function summaryOf([first]: ShownEntry["fields"]): string {
  return (first?.[1] ?? "").slice(0, 120);
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
