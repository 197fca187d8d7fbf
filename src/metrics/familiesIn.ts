import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** In seconds, from 100 µs, an idle sink on loopback, to a minute, an outage. */
const durations = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Makes metrics in a registry, or finds those that are there, so that several may share it. */
export function familiesIn(registry: Registry) {
  const registers = [registry];

  function counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    const found = registry.getSingleMetric(name);
    return found instanceof Counter ? found : new Counter({ name, help, labelNames, registers });
  }

  function gauge<L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> {
    const found = registry.getSingleMetric(name);
    return found instanceof Gauge ? found : new Gauge({ name, help, labelNames, registers });
  }

  function histogram<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets = durations,
  ): Histogram<L> {
    const found = registry.getSingleMetric(name);
    return found instanceof Histogram ? found : new Histogram({ name, help, labelNames, buckets, registers });
  }

  return { counter, gauge, histogram };
}
