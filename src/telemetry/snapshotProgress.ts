import type { RxaddError } from "../errors/rxaddError.ts";

/** How far the reading of a table is. */
export type SnapshotProgress = {
  /** As `schema.table`. */
  readonly table: string;
  /** How many of its rows were told, by this process. */
  readonly rows: number;
  /** How many it has, as far as PostgreSQL knows; undefined where it goes on in its middle, or only some were asked for. */
  readonly estimated: number | undefined;
} & (
  | { readonly state: "reading" | "read" }
  /** It was asked for, and cannot be read: reading goes on without it. */
  | { readonly state: "refused"; readonly error: RxaddError }
);
