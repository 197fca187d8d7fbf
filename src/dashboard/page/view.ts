import { html, nothing, type TemplateResult } from "lit-html";
import type { SinkSnapshot } from "../sinkSnapshot.ts";
import { chartsView } from "./charts.ts";
import { count, time } from "./format.ts";
import { type Headline, headlineOf } from "./headline.ts";
import { noticesView } from "./notices.ts";
import type { PageState } from "./state.ts";
import { streamsView } from "./streams.ts";
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
    ${state.sinks.length > 1 ? overview(state) : nothing}
    <main>${state.sinks.map((status, index) => sinkView(status, index, state))}</main>
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

/** All sinks at a glance, each a link to what stands below. */
function overview({ sinks, connection }: PageState): TemplateResult {
  return html`<nav aria-label="Sinks">
    <ul class="overview">
      ${sinks.map((status, index) => {
        const { mood, title } = nowOf(status, connection);
        return html`<li class=${mood}>
          <a href="#sink-${index}"
            ><span class="lamp" aria-hidden="true"></span><b>${status.sink}</b> ${title}</a
          >
        </li>`;
      })}
    </ul>
  </nav>`;
}

function nowOf(status: SinkSnapshot, connection: PageState["connection"]): Headline {
  return connection === "lost" ? unheardOf(status) : headlineOf(status);
}

function sinkView(
  status: SinkSnapshot,
  index: number,
  { connection, redis, history }: PageState,
): TemplateResult {
  const { sink } = status;
  const { mood, title, reason, detail } = nowOf(status, connection);
  const figures = redis[sink];
  return html`
    <section class="sink" id="sink-${index}" aria-label="Sink ${sink}">
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
        ${noticesView(status.notices)} ${figures === undefined ? nothing : streamsView(figures)}
      </div>
    </section>
  `;
}

/** What it did last may be true no more. */
function unheardOf({ atMs }: SinkSnapshot): Headline {
  return {
    mood: "bad",
    title: "Not heard of",
    reason: "Its process has stopped, or cannot be reached.",
    detail: `What stands below is of ${time(atMs)}.`,
  };
}
