import { defineConfig } from "vitest/config";
import { testFiles } from "./test/kit/testFiles.ts";
import everything from "./vitest.config.ts";

const { projects: _, ...rest } = everything.test ?? {};

/** The long form of the faults and of the models: one file after the other, so that nothing but the fault makes a stall. */
export default defineConfig({
  test: {
    ...rest,
    include: testFiles().faults,
    env: { RXADD_FAULTS: "long" },
    fileParallelism: false,
    testTimeout: 600_000,
  },
});
