import { setTimeout as delay } from "node:timers/promises";

/** Calls `send` with 1, 2, 3, … up to `count` at a steady rate; resolves when all are sent. */
export async function paced(perSecond: number, count: number, send: (n: number) => void): Promise<void> {
  const start = performance.now();
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, Math.ceil(((performance.now() - start) / 1000) * perSecond));
    while (sent < due) {
      sent += 1;
      send(sent);
    }
    if (sent < count) await delay(1);
  }
}
