import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const programs = new Map<string, Promise<string>>();

/** A program as one file of JavaScript: nothing compiles it when it is started, nor is in its memory. */
export function bundled(program: URL): Promise<string> {
  const path = fileURLToPath(program);
  const made = programs.get(path) ?? make(path);
  programs.set(path, made);
  return made;
}

async function make(path: string): Promise<string> {
  const name = basename(path).replace(/\.ts$/, ".mjs");
  const outfile = fileURLToPath(new URL(`../../../.programs/${name}`, import.meta.url));
  const settings = { outfile, bundle: true, packages: "external", platform: "node", format: "esm" } as const;
  await build({ entryPoints: [path], ...settings });
  return outfile;
}
