import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

/** A program, run as a user runs it: in a process of its own. */
export interface Run {
  readonly child: ChildProcess;
  /** What it has said so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
  /** Resolves when stdout or stderr has said it. */
  readonly says: (text: string) => Promise<void>;
}

const main = fileURLToPath(new URL("../../../dist/src/cli/main.js", import.meta.url));

function collect(stream: Readable | null, onText: () => void): () => string {
  let text = "";
  stream?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    onText();
  });
  return () => text;
}

/**
 * Starts `rxadd`, the built file; `input`, if given, goes to its standard input, which then ends. `output`, if given, is the open
 * file that is its standard output.
 */
export function rxadd(
  args: readonly string[],
  input?: string | Readable,
  env: NodeJS.ProcessEnv = {},
  output?: number,
): Run {
  return program([main, ...args], input, env, output);
}

/** Starts Node with a program, as `rxadd` above. */
export function program(
  args: readonly string[],
  input?: string | Readable,
  env: NodeJS.ProcessEnv = {},
  output: number | "pipe" = "pipe",
): Run {
  const child = spawn(process.execPath, args, {
    stdio: ["pipe", output, "pipe"],
    env: { ...process.env, ...env },
  });
  // A killed process closes the pipe under the writer.
  child.stdin?.on("error", () => {});
  if (typeof input === "string") child.stdin?.end(input);
  else if (input !== undefined && child.stdin !== null) input.pipe(child.stdin);
  return runOf(child);
}

/** Follows a process of any program. */
export function runOf(child: ChildProcess): Run {
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const check of waiting) check();
  };
  const stdout = collect(child.stdout, wake);
  const stderr = collect(child.stderr, wake);
  return {
    child,
    stdout,
    stderr,
    ended: once(child, "close").then(([code, signal]) => code ?? signal),
    says: (text) =>
      new Promise((resolve, reject) => {
        const check = () => {
          if (!stdout().includes(text) && !stderr().includes(text)) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        child.once("close", () => reject(new Error(`it ended without saying ${text}:\n${stderr()}`)));
        check();
      }),
  };
}
