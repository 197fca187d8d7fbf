import type { TestContext } from "vitest";
import { seed } from "./form.ts";

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
  /** The longest time without a checkpoint, in ms; undefined: not measured. */
  readonly longestStallMs?: number;
  /** Highest resident memory of the process, test runner included, in MiB; undefined: not measured. */
  readonly memoryMiB?: number;
  readonly promise: string;
  readonly seed: number;
}

/** Hands a line to the table reporter. */
export function recordRow(task: TestContext["task"], row: Omit<Row, "family" | "seed">): void {
  task.meta.faultRow = { family: task.suite?.name ?? "", seed, ...row };
}

declare module "vitest" {
  interface TaskMeta {
    /** Read by the table reporter. */
    faultRow?: Row;
  }
}
