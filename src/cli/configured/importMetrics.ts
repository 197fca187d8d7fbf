import { UsageError } from "../terminal/exitCode.ts";
import type { Log } from "../terminal/log.ts";
import { importWith } from "./importPackage.ts";

/** What counts what sinks do, and where that is served. */
export type Metrics = Awaited<ReturnType<typeof metricsOn>>;

/** Metrics for a port that was asked for; 0 takes a free one. */
export function metricsOn(port: number) {
  return importWith("prom-client", "metrics need", async () => {
    const [{ Registry }, made] = await Promise.all([import("prom-client"), import("../../metrics/index.ts")]);
    const { redisMetrics, serveMetrics, sinkMetrics, snapshotMetrics } = made;
    const registry = new Registry();
    return { port, isUsual: false, registry, redisMetrics, serveMetrics, sinkMetrics, snapshotMetrics };
  });
}

/** Likewise for a port that nobody asked for: without the package there are none, which is said, nor where the port is taken. */
export async function metricsIfInstalled(port: number, log: Log): Promise<Metrics | undefined> {
  try {
    return { ...(await metricsOn(port)), isUsual: true };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    log(`${error.message}; goes on without them`);
    return undefined;
  }
}
