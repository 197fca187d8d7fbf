import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const programs = new Map<string, Promise<string>>();

/** A program of this folder as one file: it is started again and again, and would be compiled each time. */
export function bundled(program: string): Promise<string> {
  const made = programs.get(program) ?? make(program);
  programs.set(program, made);
  return made;
}

async function make(program: string): Promise<string> {
  const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));
  const outfile = path(`../../../node_modules/.cache/${program.replace(/\.ts$/, ".mjs")}`);
  const settings = { outfile, bundle: true, packages: "external", platform: "node", format: "esm" } as const;
  await build({ entryPoints: [path(program)], ...settings });
  return outfile;
}
