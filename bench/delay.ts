import { fork } from "node:child_process";
import { once } from "node:events";

/** A proxy that delays, in a process of its own, so that it takes no time from the contenders'. */
export interface Delay {
  readonly uri: string;
  /** Delays each direction by so many ms from now on. */
  readonly delay: (ms: number) => Promise<void>;
  readonly stop: () => void;
}

/** Starts one in front of the server at `uri`. */
export async function startDelay(uri: string): Promise<Delay> {
  const child = fork(new URL("./delayProcess.ts", import.meta.url), [new URL(uri).port]);
  const [port] = await once(child, "message");
  return {
    uri: `redis://127.0.0.1:${port}`,
    delay: async (ms) => {
      child.send(ms);
      await once(child, "message");
    },
    stop: () => child.kill(),
  };
}
