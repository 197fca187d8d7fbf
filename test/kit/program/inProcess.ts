import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { program } from "../../../src/cli/program.ts";
import type { Run } from "./cli.ts";

/** Runs `rxadd` within this process: for what comes to its end by itself, such as a refusal. */
export function rxaddHere(
  args: readonly string[],
  input?: string | PassThrough,
  env: NodeJS.ProcessEnv = {},
): Pick<Run, "stdout" | "stderr" | "ended"> {
  const texts = { stdout: "", stderr: "" };
  const output = (name: keyof typeof texts) =>
    new PassThrough().setEncoding("utf8").on("data", (text: string) => {
      texts[name] += text;
    });
  const stdin = input instanceof PassThrough ? input : new PassThrough().end(input ?? "");
  const io = Object.assign(new EventEmitter(), {
    stdin: Object.assign(stdin, { fd: 0 }),
    ...{ stdout: output("stdout"), stderr: output("stderr") },
    env: { ...process.env, ...env },
    exit: (code: number) => {
      throw new Error(`it exits with ${code}`);
    },
  });
  return {
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    ended: program(args, io).finally(() => io.emit("exit")),
  };
}
