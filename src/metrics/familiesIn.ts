import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** In seconds, from 100 µs, an idle sink on loopback, to a minute, an outage. */
const durations = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Makes metrics in a registry, or finds those that are there, so that several may share it. */
export function familiesIn(registry: Registry) {
  function family<M, C extends { readonly name: string }>(
    Kind: new (configuration: C) => M,
    configuration: C,
  ) {
    const found: unknown = registry.getSingleMetric(configuration.name);
    return found instanceof Kind ? found : new Kind({ ...configuration, registers: [registry] });
  }

  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    family(Counter<L>, { name, help, labelNames });

  return {
    counter,
    /** One series of a counter, there from the start: rate() cannot see the step from nothing to the first value. */
    count: <L extends string>(name: string, help: string, labels: Readonly<Record<L, string>>) => {
      const series = counter(name, help, Object.keys(labels)).labels(labels);
      series.inc(0);
      return series;
    },
    gauge: <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
      family(Gauge<L>, { name, help, labelNames }),
    histogram: <L extends string>(
      name: string,
      help: string,
      labelNames: readonly L[],
      buckets = durations,
    ) => family(Histogram<L>, { name, help, labelNames, buckets }),
  };
}
