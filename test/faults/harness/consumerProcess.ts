import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { bundled } from "../../kit/program/bundled.ts";

/** What the entries hold. */
export interface Item {
  readonly id: string;
  /** Its number, from 0; the same for entries with one id. */
  readonly n: number;
}

/** What a process of consumers is told. */
export interface ConsumerOrder {
  readonly uri: string;
  readonly stream: string;
  readonly group: string;
  /** Their names. */
  readonly consumers: readonly string[];
  readonly way: "acknowledge" | "deduplicate" | "byHand";
  readonly claimIdleMs: number;
}

/** A process with consumers, which can be ended or frozen at any moment. */
export interface ConsumerProcess {
  /** Ends it at once; resolves when it has ended. */
  readonly kill: () => Promise<void>;
  /** Throws if it has ended by itself. */
  readonly check: () => void;
  /** Starts it again. */
  readonly start: () => Promise<void>;
  readonly signal: (name: "SIGSTOP" | "SIGCONT") => void;
}

/** Starts one. */
export async function startConsumers(order: ConsumerOrder): Promise<ConsumerProcess> {
  const file = await bundled(new URL("./consumerProgram.ts", import.meta.url));
  let child: ChildProcess;
  let isKilled = false;
  let crash: Error | undefined;

  async function start(): Promise<void> {
    isKilled = false;
    child = fork(file, [JSON.stringify(order)], { execArgv: [] });
    child.once("exit", (code) => {
      if (!isKilled) crash = new Error(`the consumers ended by themselves, with exit code ${code}`);
    });
    await Promise.race([once(child, "message"), once(child, "exit")]);
  }

  await start();
  return {
    start,
    check: () => {
      if (crash !== undefined) throw crash;
    },
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      isKilled = true;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
    signal: (name) => {
      child.kill(name);
    },
  };
}
