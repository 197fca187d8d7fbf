import { readFileSync } from "node:fs";
import { none } from "fp-ts/lib/Option.js";
import { Registry } from "prom-client";
import { expect, it } from "vitest";
import { consumerMetrics } from "../../src/consumer/index.ts";
import { sinkMetrics, streamMetrics } from "../../src/metrics/index.ts";

interface Listed {
  readonly type: string;
  readonly labels: readonly string[];
}

/** The metrics of docs/metrics.md, by name. */
function onThePage(): Record<string, Listed> {
  const page = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");
  return Object.fromEntries(
    [...page.matchAll(/^\| `(\w+)` +\| (\w+) +\| ([^|]+)\|/gm)].map(
      ([, name = "", type = "", labels = ""]) => [
        name,
        { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label).sort() },
      ],
    ),
  );
}

/** The metrics that a registry exposes when each has a value, by name. */
async function exposed(): Promise<Record<string, Listed>> {
  const registry = new Registry();
  const { status, published, buffered, checkpoint } = sinkMetrics({
    pipeline: "shop",
    sink: "orders-redis",
    registry,
  });
  status({ state: "opened", stream: "orders", epoch: 1, position: none, foreignEntries: 0 });
  published({ events: 1, bytes: 1, latencySeconds: 1, stageSeconds: 1 });
  checkpoint?.({ sink: "a", stream: "s", position: 1, sequence: 1, events: 1, entryId: "1-0" }, 1);
  buffered({ items: 1, bytes: 1, maxItems: 2, maxBytes: 2 });
  streamMetrics({ pipeline: "shop", sink: "orders-redis", registry }).next({
    atMs: 0,
    memoryBytes: 1,
    maxMemoryBytes: 0,
    streams: [{ stream: "orders.events", length: 1, memoryBytes: 1, groups: [], entries: [] }],
  });
  const { group } = consumerMetrics({ group: "mailer", consumer: "one", registry });
  group.next({
    ...{ stream: "orders.events", group: "mailer", length: 0, lag: 0, pending: 0 },
    ...{ lastDeliveredId: "0-0", consumers: [] },
  });
  const text = await registry.metrics();
  return Object.fromEntries(
    [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = "", type = ""]) => {
      const sample = new RegExp(`^${name}(?:_bucket)?\\{(.*)\\}`, "m").exec(text)?.[1] ?? "";
      const labels = [...sample.matchAll(/(\w+)="/g)].map(([, label = ""]) => label);
      return [name, { type, labels: labels.filter((label) => label !== "le").sort() }];
    }),
  );
}

it("docs/metrics.md lists exactly the metrics that a registry exposes, with their types and labels", async () => {
  const metrics = await exposed();
  expect(Object.keys(metrics)).toHaveLength(33);
  expect(onThePage()).toEqual(metrics);
});

it("docs/metrics.md queries no metric that it does not list", () => {
  const page = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");
  const listed = Object.keys(onThePage());
  const queries = [...page.matchAll(/```promql\n(.*?)```/gs)].map(([, query = ""]) => query).join("\n");
  const queried = [...queries.matchAll(/(?:deltaforge|rxadd)_\w+/g)].map(([name]) =>
    name.replace(/_bucket$/, ""),
  );
  expect(queried.length).toBeGreaterThan(5);
  expect(queried.filter((name) => !listed.includes(name))).toEqual([]);
});
