import { readFileSync } from "node:fs";
import { bundled } from "../../kit/program/bundled.ts";
import { program, type Run } from "../../kit/program/cli.ts";
import type { SnapshotOrder } from "./snapshotProgram.ts";

let file: Promise<string> | undefined;

/** A process that brings a table into a stream, one after the other. */
export class SnapshotProcess {
  /** The highest resident memory of all of them, in MiB. */
  memoryMiB = 0;
  readonly #order: SnapshotOrder;
  #run: Run | undefined;

  constructor(order: SnapshotOrder) {
    this.#order = order;
  }

  async start(): Promise<void> {
    file ??= bundled(new URL("./snapshotProgram.ts", import.meta.url));
    this.#run = program([await file, JSON.stringify(this.#order)]);
  }

  /** Throws if it has ended by itself. */
  check(): void {
    const { child, stderr } = this.#run ?? {};
    if (child !== undefined && child.exitCode !== null)
      throw new Error(`it has ended with ${child.exitCode}:\n${stderr?.()}`);
  }

  /** Ends it at once; resolves when it has ended. */
  async kill(): Promise<void> {
    const run = this.#run;
    if (run === undefined || run.child.exitCode !== null || run.child.signalCode !== null) return;
    const status = readFileSync(`/proc/${run.child.pid}/status`, "utf8");
    const highest = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
    this.memoryMiB = Math.max(this.memoryMiB, Math.round(highest));
    run.child.kill("SIGKILL");
    await run.ended;
  }
}
