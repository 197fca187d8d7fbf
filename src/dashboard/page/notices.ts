import { html, type TemplateResult } from "lit-html";
import type { Notice } from "../sinkSnapshot.ts";
import { time } from "./format.ts";

/** What happened, the newest first. */
export function noticesView(notices: readonly Notice[]): TemplateResult {
  return html`<div>
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
  </div>`;
}
