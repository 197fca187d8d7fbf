import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const folder = fileURLToPath(new URL("../../examples/", import.meta.url));
const names = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== "demo" && entry.name !== "recipes")
  .map(({ name }) => name);
/** The programs of an example. */
function filesOf(name: string) {
  return readdirSync(`${folder}${name}`)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => ({ file, source: readFileSync(`${folder}${name}/${file}`, "utf8") }));
}

describe("examples", () => {
  it("are the seven applications that streams are used for", () => {
    expect(names.sort()).toEqual([
      "cacheInvalidation",
      "featureFlags",
      "jobQueue",
      "liveDashboard",
      "liveNotifications",
      "rateLimiting",
      "sessionSynchronisation",
    ]);
    const table = readFileSync(`${folder}README.md`, "utf8");
    for (const name of names) expect(table).toContain(`](${name}/${name}.ts)`);
  });

  const files = [...names, "recipes"].flatMap(filesOf).map(({ file, source }) => [file, source] as const);
  it.each(files)("keep %s short: no more than 60 lines of code", (_, source) => {
    const code = source
      .replace(/^import [^;]+;\n/gm, "")
      .split("\n")
      .filter((line) => !/^\s*(\/\/.*|\/?\*.*)?$/.test(line));
    expect(code.length).toBeLessThanOrEqual(60);
  });

  it.each([...names, "recipes"])("build %s on nothing but what the package offers", (name) => {
    const all = filesOf(name).map(({ source }) => source);
    const imported = all.flatMap((source) =>
      [...source.matchAll(/from "([^"]+)"/g)].map(([, from = ""]) => from),
    );
    const isOffered = (from: string) =>
      !from.startsWith("..") && (from.startsWith("./") || !from.includes("/src/"));
    expect(imported.filter((from) => !isOffered(from))).toEqual([]);
    expect(imported.some((from) => from === "rxadd" || from.startsWith("rxadd/"))).toBe(true);
  });
});
