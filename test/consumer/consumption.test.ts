import { describe, expect, it } from "vitest";
import { type Happening, type Phase, phaseAfter } from "../../src/consumer/consumption.ts";

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
