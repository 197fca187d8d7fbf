import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What starts a process, of its own or of a server, or needs the build. */
const needsMore =
  /from "rxadd|dist\/|scripts\/apiReport|from "node:(child_process|net)"|\/kit\/(servers|network)\/|\/kit\/program\/(cli|browser)\.ts"/;

/** Whether a file, or one of test/ that it imports, starts a process. */
function startsProcesses(file: string, seen = new Set<string>()): boolean {
  if (seen.has(file)) return false;
  seen.add(file);
  const text = readFileSync(join(root, file), "utf8");
  if (needsMore.test(text)) return true;
  return [...text.matchAll(/from "(\.{1,2}\/[^"]+\.ts)"/g)]
    .map(([, path = ""]) => relative(root, join(root, dirname(file), path)))
    .filter((path) => path.startsWith("test/"))
    .some((path) => startsProcesses(path, seen));
}

/** All tests, by what they need. */
export function testFiles() {
  const files = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => `test/${file}`)
    .sort();
  const faults = files.filter((file) => /^test\/(faults|model)\//.test(file));
  const others = files.filter((file) => !faults.includes(file));
  const servers = others.filter((file) => startsProcesses(file));
  const clocks = servers.filter((file) => /\bmarbles\(/.test(readFileSync(join(root, file), "utf8")));
  return {
    faults,
    /** Have both servers and virtual time. */
    clocks,
    /** Read a PostgreSQL, of which there are several versions. */
    postgres: servers.filter((file) => /^test\/(sources\/postgres|cli\/(check|replicate))/.test(file)),
    servers: servers.filter((file) => !clocks.includes(file)),
    unit: others.filter((file) => !servers.includes(file)),
  };
}
