import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FanOutRules } from "../../src/pipeline/fanOutState.ts";
import { form, seed } from "../faults/harness/form.ts";
import { type Act, type Beginning, FanOutWorld } from "./fanOutWorld.ts";

const numRuns = form === "long" ? 300_000 : 5_000;

const beginnings: fc.Arbitrary<Beginning> = fc
  .record({
    sinks: fc.array(fc.record({ stands: fc.nat(4), isVoter: fc.boolean() }), { minLength: 2, maxLength: 4 }),
    votes: fc.nat(3),
    isOrdered: fc.integer({ min: 0, max: 3 }).map((n) => n > 0),
    gone: fc.oneof(fc.constant(0), fc.nat(4)),
    maxLate: fc.integer({ min: 1, max: 5 }),
  })
  .filter(({ sinks }) => sinks.some(({ isVoter }) => isVoter))
  .map((start) => {
    const voters = start.sinks.filter(({ isVoter }) => isVoter).length;
    // Mostly all of them, as with the policies "required" and "all".
    return { ...start, votes: start.votes === 0 || start.votes > voters ? voters : start.votes };
  });

/** What goes wrong is rare, lest nothing is published before it. */
const kinds: fc.Arbitrary<Act["kind"]> = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom("open", "acknowledge", "acknowledge", "emit") },
  { weight: 6, arbitrary: fc.constantFrom("pause", "resume", "resume", "finish", "patience", "silence") },
  { weight: 1, arbitrary: fc.constantFrom("leave", "fail", "rewind", "complete", "break") },
);

const acts: fc.Arbitrary<readonly Act[]> = fc.array(
  fc.record({ kind: kinds, sink: fc.nat(3), count: fc.integer({ min: 1, max: 4 }) }),
  { maxLength: 80, size: "max" },
);

/** Runs histories; says which promise the shortest of those did not hold that break one. */
function run(rules: (start: Beginning) => FanOutRules) {
  const ends = { none: 0, completed: 0, failed: 0 };
  let safe = 0;
  const property = fc.property(beginnings, acts, (start, history) => {
    const world = new FanOutWorld(start, rules(start));
    for (const act of history) world.act(act);
    world.finish();
    ends[world.end] += 1;
    safe += world.safe;
    if (world.wrong !== undefined) throw new Error(world.wrong);
  });
  const { counterexample, errorInstance } = fc.check(property, { seed, numRuns });
  const found = counterexample === null ? undefined : JSON.stringify(counterexample);
  return { ends, safe, wrong: found && `RXADD_SEED=${seed} ${found}: ${(errorInstance as Error).message}` };
}

describe("what a fan-out makes of random histories", () => {
  it("keeps every promise", () => {
    const { ends, safe, wrong } = run(({ votes }) => ({ votes, patienceMs: 1 }));

    expect(wrong).toBeUndefined();
    // It has tried what it is there for.
    expect(Math.min(ends.completed, ends.failed)).toBeGreaterThan(numRuns / 20);
    expect(safe).toBeGreaterThan(numRuns);
  });

  it("control: one that asks for a vote too few does not", () => {
    const { wrong } = run(({ votes }) => ({ votes: Math.max(1, votes - 1), patienceMs: 1 }));

    expect(wrong).toBeDefined();
  });

  const any = { isVoter: true, stands: 0 };
  const found: readonly (readonly [what: string, Pick<Beginning, "sinks" | "votes">, string])[] = [
    [
      "does not open the source when those that were there have gone, before it has waited for another one",
      { sinks: [any, any], votes: 1 },
      "open 0, fail 0, patience 0, open 1, emit 1, acknowledge 1",
    ],
    [
      "tells nothing that goes back when the furthest of a quorum has lost its data",
      { sinks: [{ ...any, stands: 3 }, any], votes: 1 },
      "open 1, open 0, emit 0, acknowledge 0, acknowledge 1, rewind 0, emit 0, acknowledge 1",
    ],
  ];
  it.each(found)("%s", (_, { sinks, votes }, history) => {
    const world = new FanOutWorld({ sinks, votes, isOrdered: true, gone: 0, maxLate: 5 });
    for (const [, kind, sink] of history.matchAll(/(\w+) (\d)/g))
      world.act({ kind: kind as Act["kind"], sink: Number(sink), count: 1 });
    world.finish();

    expect(world.wrong).toBeUndefined();
  });
});
