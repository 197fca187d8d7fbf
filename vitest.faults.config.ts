import { defineConfig } from "vitest/config";
import everything from "./vitest.config.ts";

/** The long form of the faults and of the models: one file after the other, so that nothing but the fault makes a stall. */
export default defineConfig({
  test: {
    ...everything.test,
    include: ["test/faults/**/*.test.ts", "test/model/**/*.test.ts"],
    env: { RXADD_FAULTS: "long" },
    fileParallelism: false,
    testTimeout: 600_000,
  },
});
