/**
 * Where a consumer is:
 * - `opening`: makes the group, or waits for Redis;
 * - `reading`;
 * - `stopping`: reads no more; a read that is under way may bring something yet;
 * - `draining`: waits until what it holds is settled;
 * - `closed`.
 */
export type Phase = "opening" | "reading" | "stopping" | "draining" | "closed";

/** What takes it on: the group is there, it shall stop, no read is under way any more, nothing is held any more. */
export type Happening = "opened" | "stop" | "readEnded" | "settled";

const steps: Readonly<Record<Phase, Partial<Record<Happening, Phase>>>> = {
  opening: { opened: "reading", stop: "draining" },
  reading: { stop: "stopping" },
  stopping: { readEnded: "draining" },
  draining: { settled: "closed" },
  closed: {},
};

/** The phase that follows; the same one if this changes nothing. */
export function phaseAfter(phase: Phase, happening: Happening): Phase {
  return steps[phase][happening] ?? phase;
}
