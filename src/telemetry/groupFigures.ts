/** One consumer of a group. */
export interface ConsumerFigures {
  readonly name: string;
  /** Delivered to it and not acknowledged. */
  readonly pending: number;
  /** Since it last asked for entries, in ms. */
  readonly idleMs: number;
}

/** How far a group of a stream is. */
export interface StreamGroup {
  readonly group: string;
  readonly consumers: number;
  /** Delivered and not acknowledged. */
  readonly pending: number;
  readonly lastDeliveredId: string;
  /** Entries that it has not read; undefined: Redis cannot tell, as after deletions, or is older than 7. */
  readonly lag: number | undefined;
}

/** How far a group is, and who is in it. */
export interface GroupFigures extends Omit<StreamGroup, "consumers"> {
  readonly stream: string;
  /** Entries in the stream. */
  readonly length: number;
  readonly consumers: readonly ConsumerFigures[];
}
