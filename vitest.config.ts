import { defineConfig } from "vitest/config";
import { TableReporter } from "./test/faults/harness/tableReporter.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ["default", new TableReporter()],
  },
});
