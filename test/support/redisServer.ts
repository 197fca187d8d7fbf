import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Redis } from "ioredis";

/** A real server on a free port of loopback, in a folder of its own. */
export interface RedisServer {
  readonly port: number;
  readonly uri: string;
  /** A client of the test's own, quit by `stop`. */
  readonly client: Redis;
  /** Its process; a new one after `start`. */
  readonly pid: () => number;
  /** Sends a signal; resolves when the process has ended, or at once for SIGSTOP and SIGCONT. */
  readonly signal: (signal: NodeJS.Signals) => Promise<void>;
  /** Starts it again on the same port and folder; resolves when it takes connections. */
  readonly start: () => Promise<void>;
  /** Ends it and removes its folder. */
  readonly stop: () => Promise<void>;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return address.port;
}

function findRedisServer(): string {
  for (const program of ["redis-server", "valkey-server"]) {
    try {
      return execFileSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).trim();
    } catch {
      // not this one
    }
  }
  const built = new URL("../../node_modules/.cache/redis-server", import.meta.url);
  if (existsSync(built)) return readFileSync(built, "utf8");
  throw new Error("no redis-server found: run `npm run setup` first");
}

/** Starts a Redis without persistence; `args` adds settings, such as `["--appendonly", "yes"]`. */
export async function startRedis(args: readonly string[] = [], password = ""): Promise<RedisServer> {
  const program = findRedisServer();
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "rxadd-redis-"));
  let child: ChildProcess;
  // Detached, so that Ctrl-C reaches only us: we stop it when we are done with it.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);

  async function start(): Promise<void> {
    child = spawn(
      program,
      [
        "--port",
        `${port}`,
        "--bind",
        "127.0.0.1",
        "--dir",
        folder,
        "--save",
        "",
        "--requirepass",
        password,
        ...args,
      ],
      { stdio: ["ignore", "pipe", "inherit"], detached: true },
    );
    if (child.stdout === null) throw new Error("redis-server has no stdout");
    const said: string[] = [];
    const lines = createInterface(child.stdout);
    for await (const line of lines) {
      said.push(line);
      if (line.includes("Ready to accept connections")) {
        // Go on reading, or a full pipe would stop the server.
        child.stdout.resume();
        return;
      }
    }
    throw new Error(`redis-server ended:\n${said.join("\n")}`);
  }

  async function signal(name: NodeJS.Signals): Promise<void> {
    const hasToEnd = name !== "SIGSTOP" && name !== "SIGCONT";
    const ended = hasToEnd ? once(child, "exit") : undefined;
    child.kill(name);
    await ended;
  }

  await start();
  const client = new Redis(port, "127.0.0.1", { password });
  client.on("error", () => {
    // A test that stops the server knows why its own client complains.
  });
  return {
    port,
    uri: `redis://127.0.0.1:${port}`,
    client,
    pid: () => child.pid ?? 0,
    signal,
    start,
    stop: async () => {
      process.off("exit", kill);
      client.disconnect();
      if (child.exitCode === null && child.signalCode === null) await signal("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
