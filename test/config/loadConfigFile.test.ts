import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
      right: { sinks: [{ config: { id: "a", uri: "redis://h" } }] },
    });
    expect(problemsOf(file)).toBe(
      `${file}:1:46: sinks[0].config.uri: the environment variable REDIS_URI is not set`,
    );
  });

  it("says of a file that cannot be read why", () => {
    expect(problemsOf(join(folder, "none.yaml"))).toMatch(/none\.yaml: cannot be read: ENOENT: no such file/);
    expect(problemsOf(folder)).toContain("cannot be read: EISDIR");
  });
});
