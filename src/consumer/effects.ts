import type { Effect } from "../redis/settlement.ts";

/** Commands for Redis that a handler asks for; see {@link effects}. */
export class Effects {
  readonly commands: readonly Effect[];

  constructor(commands: readonly Effect[]) {
    this.commands = commands;
  }
}

/**
 * Commands that are written in the same atomic step as the acknowledgement, so that they happen exactly once.
 *
 * Each has a key first, which in a Cluster stands in the stream's slot. If Redis refuses one, the
 * delivery counts as failed; those before it stand, so put first what may be refused.
 *
 * @example
 * ```ts
 * acknowledge((order: Order) => effects(["HINCRBY", "totals", order.customer, order.total]));
 * ```
 */
export function effects(...commands: readonly Effect[]): Effects {
  return new Effects(commands);
}
