import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isLeft } from "fp-ts/lib/Either.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatProblems } from "../../src/config/loadConfig.ts";
import { loadConfigFile } from "../../src/config/loadConfigFile.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "rxadd-config-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function problemsOf(file: string): string {
  const config = loadConfigFile(file, {});
  return isLeft(config) ? formatProblems(config.left, file) : "";
}

describe("loadConfigFile", () => {
  it("reads a file, with its references to the environment", () => {
    const file = join(folder, "sinks.yaml");
    writeFileSync(file, 'sinks: [{ type: redis, config: { id: a, uri: "${REDIS_URI}", stream: s } }]\n');

    expect(loadConfigFile(file, { REDIS_URI: "redis://h" })).toMatchObject({
      right: [{ sinks: [{ config: { id: "a", uri: "redis://h" } }] }],
    });
    expect(problemsOf(file)).toBe(
      `${file}:1:46: sinks[0].config.uri: the environment variable REDIS_URI is not set`,
    );
  });

  it("says of a file that cannot be read why", () => {
    expect(problemsOf(join(folder, "none.yaml"))).toMatch(/none\.yaml: cannot be read: ENOENT: no such file/);
    const inner = join(folder, "of");
    mkdirSync(join(inner, "a.yaml"), { recursive: true });
    expect(problemsOf(inner)).toMatch(/a\.yaml: cannot be read: EISDIR/);
  });

  it("reads the files of a folder in the order of their names, and nothing else in it", () => {
    const pipelines = join(folder, "pipelines");
    mkdirSync(join(pipelines, "..data"), { recursive: true });
    const sink = (id: string) =>
      `sinks: [{ type: redis, config: { id: ${id}, uri: redis://h, stream: s } }]\n`;
    writeFileSync(join(pipelines, "b.yml"), `pipeline: b\n${sink("b")}`);
    writeFileSync(join(pipelines, "a.yaml"), `pipeline: a\n${sink("a")}---\npipeline: c\n${sink("c")}`);
    for (const other of ["notes.md", ".hidden.yaml", ".yaml"]) writeFileSync(join(pipelines, other), "[");
    expect(loadConfigFile(pipelines, {})).toMatchObject({
      right: [{ pipeline: "a" }, { pipeline: "c" }, { pipeline: "b" }],
    });

    writeFileSync(join(pipelines, "b.yml"), `pipeline: c\n${sink("c")}`);
    expect(problemsOf(pipelines).split("\n")).toEqual([
      `${pipelines}/b.yml: found several pipelines with the name c, expected a name for each, by which logs and metrics tell them apart`,
      `${pipelines}/b.yml: found sink c in the pipelines c and c, of one stream, expected another id: an id has one writer`,
    ]);

    writeFileSync(join(pipelines, "a.yaml"), 'pipeline: "\n');
    writeFileSync(join(pipelines, "b.yml"), sink("7"));
    expect(problemsOf(pipelines)).toMatch(
      /^\S+a\.yaml:\d+:\d+: not YAML: .*\n\S+b\.yml:1:38: sinks\[0\]\.config\.id: found 7, expected a text$/,
    );
  });

  it("says that a folder has no file to read", () => {
    const empty = join(folder, "empty");
    mkdirSync(empty);
    expect(problemsOf(empty)).toBe(
      `${empty}: found a folder, expected a file that ends in .yaml or .yml in it`,
    );
  });
});
