import type { Cluster, Redis } from "ioredis";
import { isCluster } from "./topology.ts";

/** As long again at most, so that a dead peer is still noticed. */
const mostPatience = 8;

/** How long a client may be owed an answer: its `sendTimeoutMs`, and longer on a link that is slow, not dead. */
export interface Patience {
  /** A connection that took commands was given up: the next one is given twice as long. */
  readonly lost: () => void;
  /** An answer came, after so many ms: where that is in time, so is the next. */
  readonly answered: (ms: number) => void;
}

/**
 * Gives a client more patience each time that it was not enough.
 *
 * Only what is received counts as a sign of life, and what is not answered is sent again as it was: on a link that takes
 * longer than `sendTimeoutMs` for one batch there would never be an answer.
 */
export function patienceOf(client: Redis | Cluster): Patience {
  const { socketTimeout: least } = isCluster(client) ? (client.options.redisOptions ?? {}) : client.options;
  if (least === undefined) return { lost: () => {}, answered: () => {} };
  let times = 1;

  function set(next: number): void {
    if (next === times || least === undefined) return;
    times = next;
    // ioredis reads it each time that it begins to wait.
    for (const one of isCluster(client) ? client.nodes() : [client])
      one.options.socketTimeout = least * times;
  }

  return {
    lost: () => set(Math.min(times * 2, mostPatience)),
    answered: (ms) => {
      if (ms < least) set(1);
    },
  };
}
