import type { StreamGroup } from "./groupFigures.ts";

/** An entry to show: what is long is cut. */
export interface ShownEntry {
  readonly entryId: string;
  /** Names and values, in their order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** How a stream stands. Undefined is what the user has no right to ask. */
export interface StreamFigures {
  readonly stream: string;
  readonly length: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly groups: readonly StreamGroup[] | undefined;
  /** The newest first. */
  readonly entries: readonly ShownEntry[] | undefined;
}

/** How a server stands. Undefined is what the user has no right to ask. */
export interface RedisFigures {
  /** When it was asked, in ms since 1970. */
  readonly atMs: number;
  /** Of all masters. */
  readonly memoryBytes: number | undefined;
  /** What it may use; 0: there is no limit. */
  readonly maxMemoryBytes: number | undefined;
  readonly streams: readonly StreamFigures[];
}
