import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePort } from "./freePort.ts";

/** A process of redis-server on a free port of loopback, in a folder of its own. It never outlives this process. */
export interface ServerProcess {
  readonly port: number;
  /** A new one after `start`. */
  readonly pid: () => number;
  /** Neither ended nor frozen. */
  readonly isRunning: () => boolean;
  /** Sends a signal; resolves when the process has ended, or at once for SIGSTOP and SIGCONT. */
  readonly signal: (signal: NodeJS.Signals) => Promise<void>;
  /** Starts it again on the same port and folder, or wakes it up; resolves when it is ready. */
  readonly start: () => Promise<void>;
  /** Ends it and removes its folder. */
  readonly stop: () => Promise<void>;
}

/** How to start one. */
export interface Command {
  /** Asked again for each port that is tried. */
  readonly args: (port: number, folder: string) => Promise<readonly string[]> | readonly string[];
  /** What it prints when it is ready. */
  readonly ready: string;
}

class PortTaken extends Error {}

function findRedisServer(): string {
  for (const program of ["redis-server", "valkey-server"]) {
    try {
      return execFileSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).trim();
    } catch {
      // not this one
    }
  }
  const built = new URL("../../../node_modules/.cache/redis-server", import.meta.url);
  if (existsSync(built)) return readFileSync(built, "utf8");
  throw new Error("no redis-server found: run `npm run setup` first");
}

/** Starts a redis-server; on another port if somebody took the first one meanwhile. */
export async function startServerProcess({ args, ready }: Command): Promise<ServerProcess> {
  const program = findRedisServer();
  for (let tries = 1; ; tries += 1) {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), "rxadd-redis-"));
    const removeFolder = () => rmSync(folder, { recursive: true, force: true });
    try {
      const command = await args(port, folder);
      return await supervise(port, removeFolder, () => launch(program, command, folder, ready));
    } catch (error) {
      removeFolder();
      if (!(error instanceof PortTaken) || tries === 10) throw error;
    }
  }
}

async function supervise(
  port: number,
  removeFolder: () => void,
  launchAgain: () => Promise<ChildProcess>,
): Promise<ServerProcess> {
  let child = await launchAgain();
  let isFrozen = false;
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;

  async function signal(name: NodeJS.Signals): Promise<void> {
    if (hasEnded()) return;
    isFrozen = name === "SIGSTOP" || (isFrozen && name !== "SIGCONT");
    const hasToEnd = name !== "SIGSTOP" && name !== "SIGCONT";
    const ended = hasToEnd ? once(child, "exit") : undefined;
    child.kill(name);
    await ended;
  }

  return {
    port,
    pid: () => child.pid ?? 0,
    isRunning: () => !hasEnded() && !isFrozen,
    signal,
    start: async () => {
      if (hasEnded()) child = await launchAgain();
      else await signal("SIGCONT");
    },
    stop: async () => {
      await signal("SIGKILL");
      removeFolder();
    },
  };
}

/** Resolves when it says that it is ready. */
async function launch(program: string, args: readonly string[], folder: string, ready: string) {
  // Detached, so that Ctrl-C reaches only us: we stop it when we are done with it.
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"], detached: true });
  if (child.pid === undefined) throw new Error(`${program} did not start`);
  endWithUs(child, child.pid, folder);
  const said: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    said.push(line);
    if (line.includes(ready)) {
      // Go on reading, or a full pipe would stop the server.
      child.stdout.resume();
      return child;
    }
  }
  const text = said.join("\n");
  if (text.includes("Address already in use")) throw new PortTaken(text);
  throw new Error(`redis-server ended:\n${text}`);
}

/** A shell that waits for the end of its input, which comes when we end, however that is; then it ends the server. */
function endWithUs(child: ChildProcess, pid: number, folder: string): void {
  const script = 'read -r _; kill -9 "$1"; rm -rf "$2"';
  const watchdog = spawn("sh", ["-c", script, "sh", `${pid}`, folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  child.once("exit", () => watchdog.kill("SIGKILL"));
}
