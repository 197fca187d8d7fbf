/** A line of the table of faults. */
export interface Row {
  readonly family: string;
  readonly fault: string;
  /** How often it was injected. */
  readonly times: number;
  readonly events: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly inversions: number;
  /** The longest time without a checkpoint, in ms. */
  readonly longestStallMs: number;
  /** Highest resident memory of the process, test runner included, in MiB. */
  readonly memoryMiB: number;
  readonly promise: string;
  readonly seed: number;
}

declare module "vitest" {
  interface TaskMeta {
    /** Read by the table reporter. */
    faultRow?: Row;
  }
}
