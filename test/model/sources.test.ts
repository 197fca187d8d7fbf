import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { form, seed } from "../faults/harness/form.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { fakeBed, realBed } from "./sourceBeds.ts";
import { type History, histories } from "./sourceHistory.ts";
import { type Ending, runHistory } from "./sourceRun.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

const isLong = form === "long";
/** How many histories ended in which way, and what the first one that went wrong found; on a real server it is not made shorter, which takes too long. */
async function endings(numRuns: number, run: (history: History) => Promise<Ending>, endOnFailure = false) {
  const count = { refused: 0, behind: 0, whole: 0, wrong: 0 };
  let found: string | undefined;
  const property = fc.asyncProperty(histories, async (history) => {
    const { as, wrong } = await run(history);
    count[as] += 1;
    found = wrong ?? found;
    return wrong === undefined;
  });
  const { counterexample } = await fc.check(property, { seed, numRuns, endOnFailure });
  const wrong =
    counterexample === null ? undefined : `RXADD_SEED=${seed} ${JSON.stringify(counterexample)}: ${found}`;
  return { ...count, wrong };
}

describe("a source that forgets what was acknowledged, over the lives of processes", () => {
  it("leaves no hole that a start does not tell, over Redis in memory", { timeout: 1_800_000 }, async () => {
    const { wrong, refused, behind, whole } = await endings(isLong ? 4000 : 200, (history) =>
      runHistory(history, { remembers: true, makeBed: fakeBed }),
    );

    expect(wrong).toBeUndefined();
    // It has tried what it is there for.
    expect(Math.min(refused, behind, whole)).toBeGreaterThan(0);
  });

  it("leaves no hole that a start does not tell, over a real Redis", { timeout: 1_800_000 }, async () => {
    const run = async (history: History) => {
      await server.client.flushall();
      return runHistory(history, { remembers: true, makeBed: () => realBed(server) });
    };
    const { wrong } = await endings(isLong ? 2000 : 20, run, true);

    expect(wrong).toBeUndefined();
  });

  it("control: one that compares nothing at its start leaves holes", async () => {
    const { wrong } = await endings(300, (history) =>
      runHistory(history, { remembers: false, makeBed: fakeBed }),
    );

    expect(wrong).toMatch(/lacks .* and nothing said so|is given out without/);
  });
});
