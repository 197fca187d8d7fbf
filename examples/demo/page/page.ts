import { html, nothing, render } from "lit-html";
import type { Story } from "../story.ts";
import type { Action } from "../troubles.ts";

const number = new Intl.NumberFormat("en");
const time = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

function act(action: Action): void {
  fetch(`actions/${action}`, { method: "POST", headers: { "x-demo": "button" } }).catch(() => {});
}

function button(action: Action, text: string, isPossible = true) {
  return html`<button type="button" ?disabled=${!isPossible} @click=${() => act(action)}>${text}</button>`;
}

function view(story: Story) {
  const { committed, verified, rows, onTheirWay, difference } = story;
  return html`
    <p class="buttons">
      ${
        story.isRedisUp
          ? button("stopRedis", "Stop Redis", story.canTouchRedis)
          : button("startRedis", "Start Redis again")
      }
      ${button("killWriter", "Kill the writer", story.isWriterUp)}
      ${
        story.isMemoryFull
          ? button("freeMemory", "Free Redis' memory")
          : button("fillMemory", "Fill Redis' memory", story.canTouchRedis && story.isRedisUp)
      }
    </p>
    <section class=${difference === undefined ? "good" : "bad"} aria-label="Verdict">
      <p class="verdict">
        ${
          difference === undefined
            ? `✓ ${number.format(verified)} changes read back: each exactly once, in order`
            : `✗ The stream differs at ${difference}`
        }
      </p>
      <p>
        ${number.format(rows)} rows that were there already; ${number.format(committed)} changes committed in ${number.format(story.transactions)} transactions;
        <b>${number.format(onTheirWay)}</b> on their way${difference === undefined ? "; lost 0, doubled 0, out of order 0" : nothing}.
      </p>
    </section>
    <div role="log" aria-label="What happened">
      <ol>
        ${story.lines.map(({ atMs, text }) => html`<li><time>${time.format(atMs)}</time> ${text}</li>`)}
      </ol>
    </div>
  `;
}

const place = document.getElementById("story");
new EventSource("story").onmessage = ({ data }: MessageEvent<string>) => {
  if (place !== null) render(view(JSON.parse(data)), place);
};
