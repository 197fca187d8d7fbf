import { html, type TemplateResult } from "lit-html";
import type { SinkSnapshot } from "../sinkSnapshot.ts";
import { bytes, count, duration, number, time } from "./format.ts";

/** A sink's numbers, each with what it means. */
export function tilesView(status: SinkSnapshot): TemplateResult {
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

function fillPercent({ buffer }: SinkSnapshot): number {
  const share = Math.max(buffer.items / (buffer.maxItems || 1), buffer.bytes / (buffer.maxBytes || 1));
  return Math.round(share * 100);
}

function behindText(behindMs: number | undefined): string {
  return behindMs === undefined ? "the events have no ts_ms" : "from the change to the checkpoint";
}
