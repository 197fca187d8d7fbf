import { defineConfig } from "vitest/config";
import { TableReporter } from "./test/faults/harness/tableReporter.ts";
import { patienceMs } from "./test/kit/time/patience.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: patienceMs } },
    // The table first: what failed comes last, where one looks for it.
    reporters: [new TableReporter(), "default"],
  },
});
