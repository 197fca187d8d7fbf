import { setTimeout as delay } from "node:timers/promises";
import { ReplaySubject, Subject } from "rxjs";
import { describe, expect, it } from "vitest";
import { fanOut, redisSink, type SinkStatus } from "../../src/index.ts";
import { tallyStream } from "../kit/load/tally.ts";
import { startRedis } from "../kit/servers/redisServer.ts";
import { form } from "./harness/form.ts";
import { recordRow } from "./harness/row.ts";
import { nothingLeakedSince, openHandles, watchMemory } from "./harness/watch.ts";

const stream = "orders.events";
const downMs = form === "long" ? 60_000 : 2_000;
const perTick = 10;

interface Numbered {
  readonly n: number;
  readonly position: number;
}

/** Emits every 5 ms until it is told to end. */
function paced() {
  const events$ = new Subject<Numbered>();
  let sent = 0;
  const timer = setInterval(() => {
    for (let left = perTick; left > 0; left -= 1) {
      sent += 1;
      events$.next({ n: sent, position: sent });
    }
  }, 5);
  return {
    events$,
    sent: () => sent,
    end: () => {
      clearInterval(timer);
      events$.complete();
    },
  };
}

describe("fanOut", () => {
  it("an optional sink down under load, and back: the required one never stalls, 0 / 0 / 0 for both", {
    timeout: 300_000,
  }, async ({ task }) => {
    const handles = openHandles();
    const [main, copy] = await Promise.all([startRedis(), startRedis()]);
    const memory = watchMemory();
    const load = paced();
    const status = new ReplaySubject<SinkStatus>();
    let lastMs = performance.now();
    let longestStallMs = 0;
    try {
      const done = load.events$
        .pipe(
          fanOut([
            redisSink<Numbered, number>({ id: "main", uri: main.uri, stream }),
            redisSink<Numbered, number>({
              id: "copy",
              uri: copy.uri,
              stream,
              required: false,
              sendTimeoutMs: 1000,
              buffer: { maxEvents: 1_000_000, maxBytes: 256 * 1024 * 1024 },
              status,
            }),
          ]),
        )
        .forEach(() => {
          const now = performance.now();
          longestStallMs = Math.max(longestStallMs, now - lastMs);
          lastMs = now;
        });
      await delay(500);
      lastMs = performance.now();
      longestStallMs = 0;
      await copy.signal("SIGSTOP");
      await delay(downMs);
      const stallWhileDownMs = longestStallMs;
      await copy.signal("SIGCONT");
      await delay(500);
      load.end();
      await done;

      const events = load.sent();
      const complete = { entries: events, lost: 0, duplicates: 0, inversions: 0 };
      const found = await tallyStream(copy.client, stream, events);
      recordRow(task, {
        fault: `an optional sink down for ${downMs / 1000} s under load`,
        times: 1,
        events,
        lost: found.lost,
        duplicates: found.duplicates,
        inversions: found.inversions,
        longestStallMs: Math.round(stallWhileDownMs),
        memoryMiB: memory().memoryMiB,
        promise: "the required one goes on, 0 / 0 / 0 for both",
      });
      expect(await tallyStream(main.client, stream, events)).toEqual(complete);
      expect(found).toEqual(complete);
      // Checkpoints come every 5 ms; what is measured is a machine that others use, too.
      expect(stallWhileDownMs, "ms without a checkpoint").toBeLessThan(downMs / 2);
    } finally {
      load.end();
      await Promise.all([main.stop(), copy.stop()]);
    }
    await nothingLeakedSince(handles);
  });
});
