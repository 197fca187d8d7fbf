import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { form, seed } from "../faults/harness/form.ts";
import { type History, histories, wrongWith } from "./snapshot/history.ts";

// Of hostile observers.
beforeAll(() => void vi.spyOn(process, "emitWarning").mockImplementation(() => {}));
afterAll(() => void vi.restoreAllMocks());

describe("histories of a snapshot, over a database that lives here", () => {
  it("leave a stream from which each table is rebuilt", { timeout: 1_800_000 }, async () => {
    let found: string | undefined;
    const property = fc.asyncProperty(histories, async (history: History) => {
      const wrong = await wrongWith(history);
      found = wrong ?? found;
      return wrong === undefined;
    });
    const numRuns = form === "long" ? 20_000 : 300;
    const { counterexample } = await fc.check(property, { seed, numRuns });
    expect(counterexample && `RXADD_SEED=${seed} ${JSON.stringify(counterexample)}: ${found}`).toBeNull();
  });
});
