/**
 * How many of the starts that Redis has counted of a pending entry need not have been: its consumer may have died before
 * its handler ran.
 *
 * The first is its reading. The second is written down before the handler starts, but together with those of others,
 * one of which may have killed the consumer. From then on it starts alone.
 */
export function unsureStarts(counted: number): number {
  return Math.min(counted, startsBesideOthers);
}

/** Whether a pending entry starts while nothing else does: its consumers may have died of it. */
export function startsAlone(counted: number): boolean {
  return counted >= startsBesideOthers;
}

const startsBesideOthers = 2;
