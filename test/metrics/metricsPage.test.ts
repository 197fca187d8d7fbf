import { readFileSync } from "node:fs";
import { Registry } from "prom-client";
import { expect, it } from "vitest";
import { everyMetric } from "../kit/load/everyMetric.ts";

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
  everyMetric(registry);
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
  expect(Object.keys(metrics)).toHaveLength(41);
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
