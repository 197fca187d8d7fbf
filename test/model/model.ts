import fc from "fast-check";
import type { TestContext } from "vitest";
import { form, seed } from "../faults/harness/form.ts";
import { recordRow } from "../faults/harness/row.ts";

/** A model: random histories, each of which has to keep its promises. */
export interface Model<H> {
  /** What it is a model of, such as "many writers, script". */
  readonly of: string;
  readonly histories: fc.Arbitrary<H>;
  readonly times: { readonly short: number; readonly long: number };
  /** Lets one happen; throws what is not as promised, or says how many events it had. */
  readonly happen: (history: H) => Promise<number>;
  readonly promise: string;
}

/** Runs a model from the seed of the run; a history that breaks a promise is made as short as it can be. */
export async function hold<H>(
  { task, onTestFailed }: Pick<TestContext, "task" | "onTestFailed">,
  { of, histories, times, happen, promise }: Model<H>,
): Promise<void> {
  onTestFailed(() => console.error(`to run these histories again: RXADD_SEED=${seed}`));
  let events = 0;
  let count = 0;
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      events += await happen(history);
      count += 1;
    }),
    { seed, numRuns: times[form] },
  );
  recordRow(task, { fault: of, times: count, events, lost: 0, duplicates: 0, inversions: 0, promise });
}
