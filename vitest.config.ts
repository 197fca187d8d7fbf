import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { TableReporter } from "./test/faults/harness/tableReporter.ts";
import { patienceMs } from "./test/support/patience.ts";

export const common = {
  testTimeout: 60_000,
  hookTimeout: 60_000,
  expect: { poll: { timeout: patienceMs } },
  // The table first: what failed comes last, where one looks for it.
  reporters: [new TableReporter(), "default"],
};

const faults = "test/faults/**/*.test.ts";

/** The faults come last, and one file after the other: nothing but the fault shall make a stall. */
export default defineConfig({
  test: {
    ...common,
    projects: [
      {
        extends: true,
        test: {
          name: "all else",
          include: ["test/**/*.test.ts"],
          exclude: [faults],
          // These wait for servers more than they work.
          maxWorkers: Math.max(2, availableParallelism() - 1),
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: "faults", include: [faults], fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
