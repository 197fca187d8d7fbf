import { createRequire } from "node:module";
import { Command, CommanderError } from "commander";
import { addBackfillCommand } from "./commands/backfill.ts";
import { checkPipelines } from "./commands/check.ts";
import { addConsumeCommand } from "./commands/consume.ts";
import { linesPipeline } from "./commands/pipe.ts";
import { type ReplicateFlags, sourcePipeline } from "./commands/replicate.ts";
import { configSchema } from "./commands/schema.ts";
import { addStreamsCommand } from "./commands/streams.ts";
import { metricsIfInstalled, metricsOn } from "./configured/importMetrics.ts";
import { type RunOptions, runPipelines } from "./configured/runPipelines.ts";
import { portOf } from "./flags/numbers.ts";
import { configFrom, type OnceFlags, once, pipelinesOf, type SinkFlags } from "./flags/sinkFlags.ts";
import { type ExitCode, type ExitWith, exitCodeOf } from "./terminal/exitCode.ts";
import type { Io } from "./terminal/io.ts";
import { logFailure } from "./terminal/log.ts";
import { printableLines } from "./terminal/printable.ts";
import { type Terminal, terminalOf } from "./terminal/terminal.ts";

/** Runs the command with its arguments; resolves with how it ends. */
export async function program(args: readonly string[], io: Io): Promise<ExitCode> {
  const terminal = terminalOf(io);
  let code: ExitCode = 0;

  /** Every failure becomes one message and an exit code. */
  const exitWith: ExitWith = async (work) => {
    try {
      const found = await work();
      if (typeof found === "number") code ||= found;
    } catch (error) {
      logFailure(terminal, error);
      // What went wrong first counts.
      code ||= exitCodeOf(error);
    }
  };

  try {
    await commandLine(terminal, io, exitWith).parseAsync(args, { from: "user" });
  } catch (error) {
    // Help, and what commander has said is wrong with the arguments, end the command as well.
    if (!(error instanceof CommanderError)) throw error;
    code = error.exitCode === 0 ? 0 : 2;
  }
  await exitWith(() => terminal.out.flushed());
  return code;
}

const adopt = [
  "--adopt",
  "begin although the producer state is gone while the streams stand; may double events",
] as const;

const { version } = createRequire(import.meta.url)("rxadd/package.json");

/** What is served beside the work, by flags. */
interface Served extends Omit<RunOptions, "metrics"> {
  readonly metricsPort?: number;
}

/** The command without its commands. */
function bareCommand({ stdout, stderr }: Io): Command {
  return new Command("rxadd")
    .version(version)
    .description(
      "Publishes change events to a Redis Stream, exactly once, and reads them. Results go to stdout, logs to stderr.",
    )
    .addHelpText(
      "after",
      "\nExit codes: 0 done; 2 the configuration or the input is wrong; 3 Redis refused for good.\nCtrl-C finishes what is queued first.",
    )
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: (text, write) => write(printableLines(text.replace(/^error: /, "rxadd: "))),
    })
    .exitOverride();
}

/** All commands and their flags. */
function commandLine(terminal: Terminal, io: Io, exitWith: ExitWith): Command {
  const { env, out, stop } = terminal;
  const program = bareCommand(io);

  program
    .command("pipe")
    .description("publish NDJSON change events from standard input or a file")
    .option("--config <file>", "YAML with the sink")
    .option("--id <id>", "the sink's id: one writer at a time has it")
    .option("--uri <uri>", "where Redis is: redis://… or rediss://…; default: the environment's REDIS_URI")
    .option("--stream <key>", "the stream key, or a template such as cdc.${source.table}")
    .option("--input <file>", "read this file; it can be read again if Redis loses data")
    .option(...adopt)
    .option("--metrics-port <port>", "serve /metrics, /healthz and /readyz on this port", portOf)
    .option("--dashboard-port <port>", "show on a page on this port what the sink does", portOf)
    .option("--no-progress", "show no progress; without it a bar on a terminal stands in for the checkpoints")
    .action(({ metricsPort, ...flags }: SinkFlags & OnceFlags & Served & { input?: string }) =>
      exitWith(async () => {
        const metrics = metricsPort === undefined ? undefined : await metricsOn(metricsPort);
        const config = once(configFrom(flags, env), flags);
        const stop$ = stop();
        return runPipelines(terminal, [config], { ...flags, metrics }, (own, one, observersOf) =>
          linesPipeline(own, flags.input, one, observersOf, stop$),
        );
      }),
    );

  program
    .command("replicate")
    .description("publish the changes of a database, as a YAML file says")
    .requiredOption(
      "--config <file>",
      "YAML with a source and its sinks, or with several; or a folder of such files",
    )
    .option(...adopt)
    .option(
      "--metrics-port <port>",
      "serve /metrics, /healthz and /readyz on this port; default: 9000, if it is free",
      portOf,
    )
    .option("--dashboard-port <port>", "show on a page on this port what the sinks do", portOf)
    .option("--no-progress", "do not show how far it is while it catches up")
    .option("--accept-hole", "go on, this once, although the database no longer has all changes")
    .action(({ config, metricsPort, ...flags }: { config: string } & OnceFlags & ReplicateFlags & Served) =>
      exitWith(async () => {
        const metrics = await (metricsPort === undefined
          ? metricsIfInstalled(9000, terminal.log)
          : metricsOn(metricsPort));
        const configs = pipelinesOf(config, env).map((one) => once(one, flags));
        const stop$ = stop();
        return runPipelines(terminal, configs, { ...flags, metrics }, (own, one, observersOf) =>
          sourcePipeline(own, one, observersOf, flags, stop$),
        );
      }),
    );

  program
    .command("check")
    .description("look at all that a YAML file names, and change nothing")
    .argument("<file>", "YAML with the sinks, and perhaps a source; or a folder of such files")
    .option("--json", "print each finding as one JSON line")
    .action((file: string, { json = false }: { json?: boolean }) =>
      exitWith(() => checkPipelines(out, pipelinesOf(file, env), json)),
    );

  program
    .command("schema")
    .description("print the JSON Schema of the YAML, for editors")
    .action(() => {
      out.write(configSchema());
    });

  addBackfillCommand(program, terminal, exitWith);
  addConsumeCommand(program, terminal, exitWith);
  addStreamsCommand(program, terminal, exitWith);
  return program;
}
