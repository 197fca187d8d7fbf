import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const modulesOfRoot = join(root, "node_modules");

export const packageJson: {
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
} = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** Packages that stand in a project by a name, and what of our own `node_modules` each is. */
export type Packages = Readonly<Record<string, string>>;

/** Packages by their own names. */
export function named(...names: readonly string[]): Packages {
  return Object.fromEntries(names.map((name) => [name, name]));
}

/** What npm installs with the package by itself. */
export const requiredPeers: Packages = named(
  ...Object.keys(packageJson.peerDependencies).filter(
    (name) => packageJson.peerDependenciesMeta[name]?.optional !== true,
  ),
);

/** The package as it is published, and projects that have installed it. */
export interface Packed {
  readonly tarball: string;
  /** A new folder, with these packages and no other one; without a network, as all are links into our own `node_modules`. */
  readonly project: (packages: Packages) => string;
  readonly remove: () => void;
}

/** Packs what is built. */
export function packed(): Packed {
  const folder = mkdtempSync(join(tmpdir(), "rxadd-package-"));
  const args = ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder];
  execFileSync("npm", args, { cwd: root, stdio: "ignore" });
  const [name = ""] = readdirSync(folder);
  const tarball = join(folder, name);
  let projects = 0;

  return {
    tarball,
    project: (packages) => {
      projects += 1;
      const project = join(folder, `project-${projects}`);
      const modules = join(project, "node_modules");
      const own = join(modules, "rxadd");
      mkdirSync(own, { recursive: true });
      execFileSync("tar", ["-xzf", tarball, "--strip-components=1", "-C", own]);
      link(modules, packages);
      // Where pnpm puts them: the project does not find what only the package needs.
      link(join(own, "node_modules"), named(...Object.keys(packageJson.dependencies)));
      writeFileSync(join(project, "package.json"), '{ "type": "module" }\n');
      return project;
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}

function link(modules: string, packages: Packages): void {
  for (const [name, installed] of Object.entries(packages)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(modulesOfRoot, installed), join(modules, name));
  }
}
