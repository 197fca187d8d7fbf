import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What is in use when all garbage has been collected, in MiB. */
export function usedMiB(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  collect();
  // The memory of buffers is given back beside the program's work; the next time waits for that.
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}
