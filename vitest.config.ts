import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { TableReporter } from "./test/faults/harness/tableReporter.ts";
import { testFiles } from "./test/kit/testFiles.ts";
import { patienceMs } from "./test/kit/time/patience.ts";

const { unit, servers, clocks, faults, postgres } = testFiles();
const cores = availableParallelism();
/** As Debian has it; beside the newest version, an older one. */
const olderPostgres = "/usr/lib/postgresql/15";

/** Those of one group run at a time, so that what a fault costs is not what others cost. They share nothing but modules. */
function group(
  name: string,
  order: number,
  include: readonly string[],
  maxWorkers: number,
  isolate = false,
  env: Readonly<Record<string, string>> = {},
) {
  const test = { name, include: [...include], maxWorkers, isolate, env, sequence: { groupOrder: order } };
  return { extends: true as const, test };
}

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: patienceMs } },
    // The table first: what failed comes last, where one looks for it.
    reporters: [new TableReporter(), "default"],
    projects: [
      group("unit", 0, unit, cores),
      // Most of the time they wait for a server.
      group("servers", 1, servers, cores + 1),
      // Virtual time stands still where something of another file's real time is left.
      group("clocks", 1, clocks, cores + 1, true),
      group("faults", 2, faults, cores + 2),
      ...(existsSync(olderPostgres)
        ? [group("postgres 15", 3, postgres, cores + 1, false, { RXADD_POSTGRES: olderPostgres })]
        : []),
    ],
  },
});
