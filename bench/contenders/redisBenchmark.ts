import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { eventOf, jsonOf, rowOf } from "../benchEvent.ts";
import type { Contender } from "../contender.ts";

/** The server's limit: redis-benchmark, in C, sends one XADD over and over and looks at no answer. */
export const redisBenchmark: Contender = {
  name: "redis-benchmark, XADD",
  publish: async ({ uri, stream, count, bytes, kind, batchSize }) => {
    const { hostname, port } = new URL(uri);
    const { stdout } = await promisify(execFile)("redis-benchmark", [
      ...["-h", hostname, "-p", port, "-c", "1", "-P", `${batchSize}`, "-n", `${count}`, "--csv"],
      ...["XADD", stream, "*", "event", jsonOf(kind === "row" ? rowOf(1, bytes) : eventOf(1, bytes))],
    ]);
    // The command, whose own quotes are not escaped, then the rate and six latencies.
    const perSecond = Number(/,"([\d.]+)"(?:,"[\d.]+"){6}\s*$/.exec(stdout)?.[1]);
    if (!(perSecond > 0)) throw new Error(`redis-benchmark: found no rate in ${stdout}`);
    return count / perSecond;
  },
};
