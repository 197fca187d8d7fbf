import { defineConfig } from "vitest/config";
import { TableReporter } from "./test/faults/harness/tableReporter.ts";

/** The long form of the faults: one file after the other, so that nothing but the fault makes a stall. */
export default defineConfig({
  test: {
    include: ["test/faults/**/*.test.ts"],
    env: { RXADD_FAULTS: "long" },
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 60_000,
    reporters: ["default", new TableReporter()],
  },
});
