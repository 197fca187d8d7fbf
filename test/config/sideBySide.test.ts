import { isLeft } from "fp-ts/lib/Either.js";
import { describe, expect, it } from "vitest";
import { formatProblems, loadConfig } from "../../src/config/loadConfig.ts";

interface Of {
  readonly source?: string;
  readonly id?: string;
  readonly uri?: string;
  readonly stream?: string;
}

/** A pipeline; its sink is called as it is, and so is its stream. */
function pipeline(name: string, { source, id = name, uri = "redis://h", stream = name }: Of = {}): string {
  const config = JSON.stringify({ id, uri, stream });
  return `pipeline: ${name}\n${source ? `source: ${source}\n` : ""}sinks: [{ type: redis, config: ${config} }]\n`;
}

const postgres = (dsn: string, slot?: string) =>
  `{ type: postgres, config: { dsn: "${dsn}"${slot ? `, slot: ${slot}` : ""} } }`;
const copyOf = (stream: string, uri = "redis://h") =>
  `{ type: redis, config: { uri: "${uri}", stream: ${stream} } }`;

function problemsOf(...pipelines: readonly string[]): string[] {
  const config = loadConfig(pipelines.join("---\n"), {});
  return isLeft(config) ? formatProblems(config.left, "f").split("\n") : [];
}

describe("several pipelines in a file", () => {
  it("are documents, or a list, or both, and empty documents are none", () => {
    const names = (text: string) => {
      const config = loadConfig(text, {});
      return isLeft(config) ? formatProblems(config.left) : config.right.map(({ pipeline }) => pipeline);
    };
    const listed = `- { pipeline: c, sinks: [{ type: redis, config: { id: c, uri: redis://h, stream: c } }] }
- { pipeline: d, sinks: [{ type: redis, config: { id: d, uri: redis://h, stream: d } }] }
`;
    expect(names(`---\n# none\n---\n${pipeline("a")}---\n${pipeline("b")}---\n`)).toEqual(["a", "b"]);
    expect(names(listed)).toEqual(["c", "d"]);
    expect(names(`${pipeline("a")}---\n${listed}...\n`)).toEqual(["a", "c", "d"]);
  });

  it("have each problem at its place", () => {
    const broken = "pipeline: b\nsinks: 5\n";
    expect(problemsOf(pipeline("a"), broken, "pipeline: c\n", "- pipeline: d\n- 7\n")).toEqual([
      "f:5:8: sinks: found 5, expected a list of one or more",
      "f:7:1: sinks: found nothing, expected a list of one or more",
      "f:9:3: [0].sinks: found nothing, expected a list of one or more",
      "f:10:3: [1]: found 7, expected an object with pipeline, source, sinks, commit",
    ]);
    expect(problemsOf(pipeline("a"), "[\n", "*b\n").map((line) => line.slice(0, 16))).toEqual([
      "f:5:1: not YAML:",
      "f:6:1: not YAML:",
    ]);
  });

  it("take a variable from the environment each, and name each that is not set", () => {
    const text = pipeline("a", { uri: "${A}" });
    expect(problemsOf(text, text.replaceAll('"a"', '"b"'))).toEqual([
      "f:2:48: sinks[0].config.uri: the environment variable A is not set",
      "f:5:48: sinks[0].config.uri: the environment variable A is not set",
    ]);
  });

  it("have names of their own", () => {
    const twice = pipeline("a").replaceAll('"a"', '"b"');
    expect(problemsOf(pipeline("a"), twice)).toEqual([
      "f:4:1: found several pipelines with the name a, expected a name for each, by which logs and metrics tell them apart",
    ]);
    expect(problemsOf(pipeline("a"), pipeline("rxadd"), "pipeline: rxadd").at(-1)).toMatch(
      /sinks: found nothing/,
    );
  });

  it.each([
    ["a fixed stream", "s", "s", "redis://h", true],
    ["another stream", "s", "t", "redis://h", false],
    ["templates, whatever they say", "${a}", "${b}", "redis://h", true],
    ["the same server by another user", "s", "s", "redis://u:hunter2@h:6379/0", true],
    ["another database", "s", "s", "redis://h/1", false],
    ["another server", "s", "s", "redis://i", false],
  ])("do not take a sink from each other: %s", (_case, stream, other, uri, isTaken) => {
    const problems = problemsOf(
      pipeline("a", { id: "orders", stream }),
      pipeline("b", { id: "orders", stream: other, uri }),
    );
    const found =
      "f:4:1: found sink orders in the pipelines a and b, of one stream, expected another id: an id has one writer";
    expect(problems).toEqual(isTaken ? [found] : []);
  });

  it.each([
    ["the same", "postgres://h/shop", "postgres://h/shop", true],
    ["another database of the server", "postgres://h/shop", "postgres://u:hunter2@H:5432/other", true],
    ["this machine by two names", "postgres://localhost/shop", "postgres://127.0.0.1/shop", true],
    ["another port", "postgres://h/shop", "postgres://h:5433/shop", false],
    ["another server", "postgres://h/shop", "postgres://i/shop", false],
  ])("do not take a slot from each other: %s", (_case, one, other, isTaken) => {
    const found =
      "f:5:1: found slot rxadd in the pipelines a and b, of one server, expected another slot: a slot has one reader";
    const a = pipeline("a", { source: postgres(one) });
    expect(problemsOf(a, pipeline("b", { source: postgres(other) }))).toEqual(isTaken ? [found] : []);
    expect(problemsOf(a, pipeline("b", { source: postgres(other, "b") }))).toEqual([]);
  });

  it("do not take a publication of one database for other tables", () => {
    const of = (name: string, dsn: string, more: string) =>
      pipeline(name, { source: `{ type: postgres, config: { dsn: "${dsn}", slot: ${name}${more} } }` });
    const a = of("a", "postgres://h/shop", ", tables: [public.a, public.b]");
    expect(problemsOf(a, of("b", "postgres://u@h/shop", ", tables: [public.a]"))).toEqual([
      "f:5:1: found publication rxadd in the pipelines a and b, of other tables, expected another publication: one is of one list of tables",
    ]);
    expect(problemsOf(a, of("b", "postgres://h/shop", ""))).toEqual([]);
    expect(problemsOf(a, of("b", "postgres://h/shop", ", tables: [public.b, public.a]"))).toEqual([]);
    expect(problemsOf(a, of("b", "postgres://h/other", ", tables: [public.a]"))).toEqual([]);
    expect(problemsOf(a, of("b", "postgres://h/shop", ", tables: [public.a], publication: b"))).toEqual([]);
  });

  it("do not copy in a circle", () => {
    const a = pipeline("a", { source: copyOf("c") });
    const b = pipeline("b", { source: copyOf("a") });
    const d = pipeline("d", { source: copyOf("a") });
    expect(problemsOf(a, d, b, pipeline("e", { source: copyOf("d") }))).toEqual([]);
    expect(problemsOf(a, d, b, pipeline("c", { source: copyOf("b") }))).toEqual([
      expect.stringMatching(/^f:13:1: found the pipelines a and b and c, which copy .* in a circle/),
    ]);
    const elsewhere = pipeline("c", { source: copyOf("b"), uri: "redis://i" });
    expect(problemsOf(a, d, b, elsewhere)).toEqual([]);
  });

  it("are looked at in a moment, however many they are", () => {
    const uri = (n: number) => `redis://h${n % 2 === 0 ? "" : ":6379"}`;
    const many = Array.from({ length: 300 }, (_, n) =>
      pipeline(`p${n}`, { source: copyOf(`p${n + 1}`, uri(n)), uri: uri(n + 1) }),
    );
    const began = performance.now();
    expect(problemsOf(...many)).toEqual([]);
    expect(performance.now() - began).toBeLessThan(5000);
  });
});
