import { html, nothing, type TemplateResult } from "lit-html";
import type { SinkStatus } from "../sinkStatus.ts";
import { chartsView } from "./charts.ts";
import { count, time } from "./format.ts";
import { type Headline, headlineOf } from "./headline.ts";
import { noticesView } from "./notices.ts";
import { redisView } from "./redis.ts";
import type { PageState } from "./state.ts";
import { nextTheme, type Theme } from "./theme.ts";
import { tilesView } from "./tiles.ts";

/** The whole page. All that it shows stands in text: lit escapes it. */
export function pageView(state: PageState, theme: Theme): TemplateResult {
  return html`
    <header>
      <h1>rxadd</h1>
      <p class="connection" role="status">${connectionText(state)}</p>
      <button type="button" @click=${nextTheme}>Theme: ${theme}</button>
    </header>
    <main>
      ${state.sinks.map((status) => sinkView(status, state))}
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

function sinkView(status: SinkStatus, { connection, redis, history }: PageState): TemplateResult {
  const { sink } = status;
  const { mood, title, reason, detail } = connection === "lost" ? unheardOf(status) : headlineOf(status);
  const figures = redis[sink];
  return html`
    <section class="sink" aria-label="Sink ${sink}">
      <div class="headline ${mood}">
        <div role="status">
          <h2>${sink}</h2>
          <p class="state"><span class="lamp" aria-hidden="true"></span>${title}</p>
          <p class="reason">${reason}</p>
        </div>
        <p class="detail">${detail}</p>
      </div>
      ${tilesView(status)} ${chartsView(history[sink] ?? [])}
      <div class="columns">
        ${noticesView(status.notices)} ${figures === undefined ? nothing : redisView(figures)}
      </div>
    </section>
  `;
}

/** What it did last may be true no more. */
function unheardOf({ atMs }: SinkStatus): Headline {
  return {
    mood: "bad",
    title: "Not heard of",
    reason: "Its process has stopped, or cannot be reached.",
    detail: `What stands below is of ${time(atMs)}.`,
  };
}
