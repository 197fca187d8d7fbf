import { describe, expect, it } from "vitest";
import { Consumption, type Happening, type Phase, phaseAfter } from "../../src/consumer/consumption.ts";
import { rxaddError } from "../../src/errors/rxaddError.ts";

const phases: readonly Phase[] = ["opening", "reading", "stopping", "draining", "closed"];
const happenings: readonly Happening[] = ["opened", "stop", "readEnded", "settled"];

/** Where each happening leads, from each phase. */
const expected: Readonly<Record<Phase, readonly Phase[]>> = {
  opening: ["reading", "draining", "opening", "opening"],
  reading: ["reading", "stopping", "reading", "reading"],
  stopping: ["stopping", "stopping", "draining", "stopping"],
  draining: ["draining", "draining", "draining", "closed"],
  closed: ["closed", "closed", "closed", "closed"],
};

describe("phaseAfter", () => {
  it.each(phases)("says where a consumer goes that is %s, whatever happens", (phase) => {
    expect(happenings.map((happening) => phaseAfter(phase, happening))).toEqual(expected[phase]);
  });
});

describe("Consumption", () => {
  it("stops with what it fails with first, also for who asks later", () => {
    const consumption = new Consumption();
    const told: string[] = [];
    consumption.stop$.subscribe(() => told.push("before"));
    consumption.happened("opened");
    expect([consumption.isStopping, told]).toEqual([false, []]);
    const first = rxaddError("EntryNotDecodable", "no JSON");
    consumption.fail(first);
    consumption.fail(new Error("another one"));
    consumption.stop$.subscribe(() => told.push("after"));

    expect(consumption.failure).toBe(first);
    expect([consumption.isStopping, consumption.is("stopping")]).toEqual([true, true]);
    expect(told).toEqual(["before", "before", "after"]);
  });

  it("says that it is closed once all is settled, and why only if it failed", () => {
    const consumption = new Consumption();
    let closed = 0;
    consumption.closed$.subscribe(() => {
      closed += 1;
    });
    for (const happening of ["opened", "stop", "readEnded"] as const) consumption.happened(happening);
    expect(closed).toBe(0);
    consumption.happened("settled");

    expect([closed, consumption.failure]).toEqual([1, undefined]);
  });
});
