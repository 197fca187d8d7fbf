import { html, nothing, type TemplateResult } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import type { RedisFigures, ShownEntry, StreamFigures } from "../../telemetry/redisFigures.ts";
import { bytes, count, number, time } from "./format.ts";

/** Redis' memory, and each stream with its groups and newest entries. */
export function streamsView({ atMs, memoryBytes, maxMemoryBytes, streams }: RedisFigures): TemplateResult {
  return html`<div>
    <h3>Redis</h3>
    <p>${memoryText(memoryBytes, maxMemoryBytes)} <small class="note">Asked at ${time(atMs)}.</small></p>
    ${streams.toSorted(byName).map(streamView)}
  </div>`;
}

/** They come by their last checkpoint, and would change places all the time. */
function byName(a: StreamFigures, b: StreamFigures): number {
  return a.stream < b.stream ? -1 : 1;
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
