import type { EventEmitter } from "node:events";
import type { Readable, Writable } from "node:stream";

/** What a command has of the process that it runs in, which is one; it emits `SIGINT`, `SIGTERM` and `exit`. */
export interface Io extends EventEmitter {
  readonly stdin: Readable & { readonly fd: number; readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** Ends the process at once. */
  exit(code: number): void;
}

/** Where text goes: a terminal, a pipe or a file. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };
