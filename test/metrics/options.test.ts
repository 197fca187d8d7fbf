import { from } from "rxjs";
import { describe, expect, it } from "vitest";
import { dashboard, dashboardHandler, watchSink } from "../../src/dashboard/index.ts";
import { keepPositions, redisSink } from "../../src/index.ts";
import {
  consumerMetrics,
  redisMetrics,
  serveMetrics,
  sinkMetrics,
  snapshotMetrics,
} from "../../src/metrics/index.ts";
import { postgresChanges } from "../../src/sources/postgres/index.ts";
import { fakeRedis } from "../../src/testing/index.ts";

const series = { pipeline: "shop", sink: "orders" };
const { registry } = sinkMetrics(series);
const sink = redisSink({ id: "orders", connection: fakeRedis(), stream: "orders" });
const wrong = (options: object) => options as never;

describe("what watches and serves refuses an option that there is not", () => {
  it.each<[string, () => unknown]>([
    [
      "sinkMetrics: registri: no such option; did you mean registry?",
      () => sinkMetrics(wrong({ ...series, registri: registry })),
    ],
    [
      "redisMetrics: sinks: no such option; did you mean sink?",
      () => redisMetrics(wrong({ ...series, sinks: "a" })),
    ],
    [
      "snapshotMetrics: pipelin: no such option; did you mean pipeline?",
      () => snapshotMetrics(wrong({ pipelin: "shop" })),
    ],
    [
      "consumerMetrics: consume: no such option; did you mean consumer?",
      () => consumerMetrics(wrong({ group: "mailer", consume: "one" })),
    ],
    [
      "serveMetrics: prot: no such option; did you mean port?",
      () => serveMetrics(wrong({ registry, prot: 1 })),
    ],
    [
      "dashboard: hosts: no such option; did you mean host?",
      () => dashboard(wrong({ sinks: [sink], hosts: "::" })),
    ],
    [
      "dashboardHandler: everyMS: no such option; did you mean everyMs?",
      () => dashboardHandler(wrong({ sinks: [sink], everyMS: 5 })),
    ],
    [
      "watchSink: redisEvery: no such option; did you mean redisEveryMs?",
      () => watchSink(sink, wrong({ redisEvery: 5 })),
    ],
    [
      "watchSink: everyMs: found 0, expected a number of milliseconds from 1 to 2147483647",
      () => watchSink(sink, { everyMs: 0 }),
    ],
    [
      "postgresChanges: table: no such option; did you mean tables?",
      () => postgresChanges(wrong({ connectionString: "postgres://h", table: [] })),
    ],
    ["fakeRedis: reply: no such option; did you mean replies?", () => fakeRedis(wrong({ reply: "o" }))],
    [
      "keepPositions: positon: no such option; did you mean position?",
      () => from([1]).pipe(keepPositions((source) => source, wrong({ positon: () => 1 }))),
    ],
  ])("%s", (message, call) => {
    expect(call).toThrow(expect.objectContaining({ _tag: "ConfigurationInvalid", message }));
  });
});
