/** One consumer of a group. */
export interface ConsumerFigures {
  readonly name: string;
  /** Delivered to it and not acknowledged. */
  readonly pending: number;
  /** Since it last asked for entries, in ms. */
  readonly idleMs: number;
}

/** How far a group is. */
export interface GroupFigures {
  readonly stream: string;
  readonly group: string;
  /** Entries in the stream. */
  readonly length: number;
  /** Entries that the group has not read; undefined: Redis cannot tell, or is older than 7. */
  readonly lag: number | undefined;
  /** Delivered and not acknowledged. */
  readonly pending: number;
  readonly lastDeliveredId: string;
  readonly consumers: readonly ConsumerFigures[];
}
