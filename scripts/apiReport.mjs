// Writes what each entry point of the package exports to test/repository/api: a change of it shows in a diff.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { CompilerState, Extractor, ExtractorConfig } from "@microsoft/api-extractor";

const root = fileURLToPath(new URL("..", import.meta.url));
const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** Entry points by the name of their report. */
export const entryPoints = Object.fromEntries(
  Object.entries(exports)
    .map(([name, path]) => [name, path.default ?? path])
    .filter(([, path]) => path.endsWith(".js"))
    .map(([name, path]) => [
      name === "." ? "rxadd" : name.slice(2).replaceAll("/", "-"),
      path.replace(/js$/, "d.ts"),
    ]),
);

export const reportsFolder = join(root, "test/repository/api");

const compilerOptions = {
  ...JSON.parse(readFileSync(join(root, "tsconfig.json"), "utf8")).compilerOptions,
  noEmit: true,
};
const silent = { default: { logLevel: "none" } };

/** All entry points, read once. */
let compilerState;

/** What an entry point of `dist/` exports, with its types. */
export function reportOf(name) {
  const folder = mkdtempSync(join(tmpdir(), "rxadd-api-"));
  const files = Object.values(entryPoints).map((path) => join(root, path));
  const configObject = {
    projectFolder: root,
    mainEntryPointFilePath: join(root, entryPoints[name]),
    compiler: { overrideTsconfig: { compilerOptions, files } },
    apiReport: {
      enabled: true,
      reportFileName: `${name}.api.md`,
      reportFolder: folder,
      reportTempFolder: folder,
    },
    docModel: { enabled: false },
    dtsRollup: { enabled: false },
    tsdocMetadata: { enabled: false },
    messages: {
      compilerMessageReporting: silent,
      extractorMessageReporting: silent,
      tsdocMessageReporting: silent,
    },
  };
  try {
    const config = ExtractorConfig.prepare({
      configObject,
      configObjectFullPath: join(root, "api-extractor.json"),
      packageJsonFullPath: join(root, "package.json"),
    });
    compilerState ??= CompilerState.create(config);
    Extractor.invoke(config, {
      compilerState,
      localBuild: true,
      messageCallback: (message) => {
        message.handled = true;
      },
    });
    return readFileSync(join(folder, `${name}.api.md`), "utf8").replaceAll("\r", "");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  rmSync(reportsFolder, { recursive: true, force: true });
  mkdirSync(reportsFolder, { recursive: true });
  for (const name of Object.keys(entryPoints))
    writeFileSync(join(reportsFolder, `${name}.api.md`), reportOf(name));
}
