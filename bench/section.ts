import type { Row } from "./row.ts";

/** What every section is given. */
export interface Settings {
  readonly uri: string;
  /** How many events a contender publishes in a round. */
  readonly events: number;
  readonly rounds: number;
}

/** Measures one thing, row by row. */
export type Section = (settings: Settings) => AsyncIterable<Row>;
