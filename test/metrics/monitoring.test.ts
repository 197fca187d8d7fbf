import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isLeft } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import { Registry } from "prom-client";
import { afterAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { everyMetric } from "../kit/load/everyMetric.ts";

const docs = fileURLToPath(new URL("../../docs/", import.meta.url));
const folder = join(docs, "monitoring");
const scratch = mkdtempSync(join(tmpdir(), "rxadd-monitoring-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** That of this machine, or what the set-up has fetched. */
const promtoolPath = [
  "promtool",
  fileURLToPath(new URL("../../node_modules/.cache/promtool/promtool", import.meta.url)),
].find((path) => spawnSync(path, ["--version"]).status === 0);

function decoded<A>(codec: t.Type<A>, value: unknown): A {
  const result = codec.decode(value);
  if (isLeft(result)) throw new Error(`found ${JSON.stringify(value).slice(0, 200)}, expected ${codec.name}`);
  return result.right;
}

const Alerts = t.type({
  groups: t.array(t.type({ rules: t.array(t.type({ alert: t.string, expr: t.string })) })),
});
const GridPos = t.type({ x: t.number, y: t.number, w: t.number, h: t.number });
const Dashboard = t.type({
  panels: t.array(
    t.intersection([
      t.type({ id: t.number, title: t.string, gridPos: GridPos }),
      t.partial({ targets: t.array(t.type({ expr: t.string })) }),
    ]),
  ),
  templating: t.type({
    list: t.array(t.intersection([t.type({ name: t.string }), t.partial({ definition: t.string })])),
  }),
});

const alerts = decoded(Alerts, parse(readFileSync(join(folder, "alerts.yaml"), "utf8"))).groups.flatMap(
  ({ rules }) => rules,
);
const dashboard = decoded(Dashboard, JSON.parse(readFileSync(join(folder, "grafana.json"), "utf8")));

/** Every query there is, by where it stands; Grafana's variables filled in. */
const queries: readonly (readonly [where: string, expr: string])[] = [
  ...alerts.map(({ alert, expr }) => [`alert ${alert}`, expr] as const),
  ...dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => [`panel ${title}`, filled(expr)] as const),
  ),
  ...["metrics.md"].flatMap((page) =>
    [...readFileSync(join(docs, page), "utf8").matchAll(/```promql\n(.*?)```/gs)].flatMap(([, code = ""]) =>
      code.split("\n\n").map((expr) => [`docs/${page}`, expr] as const),
    ),
  ),
];

function filled(expr: string): string {
  return expr.replaceAll("$__rate_interval", "5m").replace(/\$(\w+)/g, ".*");
}

/** The metrics that a query names, with the labels that it names of each in braces. */
function namedIn(expr: string): readonly (readonly [metric: string, labels: readonly string[]])[] {
  return [...expr.matchAll(/\b((?:rxadd|deltaforge)_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, metric = "", braces = ""]) => [
      metric,
      [...braces.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label),
    ],
  );
}

/** The labels by which a query groups, joins or names what it shows. */
function groupedBy(expr: string): readonly string[] {
  return [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, labels = ""]) => labels.split(/,\s*/));
}

/** The labels of each series that is really exposed. */
async function exposed(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const registry = new Registry();
  everyMetric(registry);
  const text = await registry.metrics();
  const series = new Map<string, ReadonlySet<string>>();
  for (const [, name = "", labels = ""] of text.matchAll(/^(\w+)\{(.*)\} /gm)) {
    series.set(name, new Set([...labels.matchAll(/(\w+)="/g)].map(([, label = ""]) => label)));
  }
  return series;
}

describe("docs/monitoring", () => {
  it.each(queries)("asks in %s for metrics and labels that are exposed: %s", async (_, expr) => {
    const series = await exposed();
    const named = namedIn(expr);
    expect(named.length).toBeGreaterThan(0);
    for (const [metric, labels] of named) {
      const there = series.get(metric);
      expect(there, metric).toBeDefined();
      for (const label of labels) expect([...(there ?? [])], metric).toContain(label);
    }
    const labels = named.flatMap(([metric]) => [...(series.get(metric) ?? [])]);
    for (const label of groupedBy(expr)) expect(labels).toContain(label);
  });

  it("shows every metric in Grafana", async () => {
    const shown = new Set(
      queries
        .filter(([where]) => where.startsWith("panel"))
        .flatMap(([, expr]) => namedIn(expr))
        .map(([metric]) => familyOf(metric)),
    );
    const families = new Set([...(await exposed()).keys()].map(familyOf));
    expect([...families].filter((family) => !shown.has(family))).toEqual([]);
  });

  it("takes Grafana's choices from labels that are exposed", async () => {
    const series = await exposed();
    const choices = dashboard.templating.list.flatMap(({ definition }) => definition ?? []);
    expect(choices.length).toBeGreaterThan(0);
    for (const choice of choices) {
      const [, label = ""] = /^label_values\(.+, (\w+)\)$/.exec(choice) ?? [];
      const named = namedIn(choice);
      expect(named.length, choice).toBeGreaterThan(0);
      for (const [metric] of named) expect([...(series.get(metric) ?? [])], choice).toContain(label);
    }
  });

  it("has panels that do not cover each other", () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  });

  it("lists every alert on its page, and tests it both firing and silent", () => {
    const page = readFileSync(join(folder, "README.md"), "utf8");
    const listed = [...page.matchAll(/^\| `(Rxadd\w+)` \|/gm)].map(([, name]) => name);
    expect(listed).toEqual(alerts.map(({ alert }) => alert));
    const tests = readFileSync(join(folder, "alerts.test.yaml"), "utf8");
    for (const { alert } of alerts) {
      expect(tests, alert).toMatch(new RegExp(`alertname: ${alert},`));
      expect(tests, alert).toMatch(new RegExp(`alertname: ${alert}\n\\s+eval_time: \\w+\n\\s+exp_alerts:`));
    }
    expect(readdirSync(folder).sort()).toEqual([
      "README.md",
      "alerts.test.yaml",
      "alerts.yaml",
      "grafana.json",
    ]);
  });

  describe.skipIf(promtoolPath === undefined)("by promtool (skipped where there is none)", () => {
    function promtool(args: readonly string[], input = ""): string {
      return execFileSync(promtoolPath ?? "promtool", args, {
        cwd: folder,
        encoding: "utf8",
        input,
        stdio: "pipe",
      });
    }

    it("has alerts that Prometheus takes", () => {
      expect(promtool(["check", "rules", "alerts.yaml"])).toContain(`${alerts.length} rules found`);
    });

    it("has alerts that fire when they have to, and only then", () => {
      expect(promtool(["test", "rules", "alerts.test.yaml"])).toContain("SUCCESS");
    });

    it("has no query that Prometheus cannot read", () => {
      const rules = queries.map(([, expr], index) => ({ record: `query:${index}`, expr }));
      const file = join(scratch, "queries.yaml");
      writeFileSync(file, JSON.stringify({ groups: [{ name: "queries", rules }] }));
      expect(promtool(["check", "rules", file])).toContain(`${rules.length} rules found`);
    });

    it("finds no fault with the metrics that are exposed", async () => {
      const registry = new Registry();
      everyMetric(registry);
      const input = await registry.metrics();
      expect(promtool(["check", "metrics"], input)).toBe("");
    });
  });
});

/** A histogram has several series. */
function familyOf(metric: string): string {
  return metric.replace(/_(bucket|sum|count)$/, "");
}
