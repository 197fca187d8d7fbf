#!/usr/bin/env node
import { createRequire } from "node:module";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { lastValueFrom, type Observable, tap } from "rxjs";
import type { Checkpoint } from "../event/checkpoint.ts";
import { checkConfig } from "./commands/check.ts";
import { addConsumeCommand } from "./commands/consume.ts";
import { pipeLines } from "./commands/pipe.ts";
import { type ReplicateFlags, replicateSource } from "./commands/replicate.ts";
import { configSchema } from "./commands/schema.ts";
import { addStreamsCommand } from "./commands/streams.ts";
import type { MonitoringOptions } from "./configured/monitoring.ts";
import { configFrom, configOf, type OnceFlags, once, type SinkFlags } from "./flags/sinkFlags.ts";
import { writeResult } from "./terminal/bar.ts";
import { exitCodeOf } from "./terminal/exitCode.ts";
import { log, logFailure } from "./terminal/log.ts";
import { newOutcome, type Outcome } from "./terminal/outcome.ts";
import { printableLines } from "./terminal/printable.ts";
import { flushed, isStdoutClosed, writeOut } from "./terminal/stdout.ts";
import { stopSignal } from "./terminal/stopSignal.ts";

/** Prints each checkpoint as one JSON line, and says at the end what was done. */
async function printCheckpoints(
  publish: (outcome: Outcome) => Observable<Checkpoint<unknown>>,
): Promise<void> {
  const outcome = newOutcome();
  let position: unknown;
  await lastValueFrom(
    publish(outcome).pipe(
      tap((checkpoint) => {
        writeResult(JSON.stringify(checkpoint));
        position = checkpoint.position;
      }),
    ),
    { defaultValue: undefined },
  );
  const done = outcome.text();
  const end = isStdoutClosed() ? "stopped, as standard output takes no more" : "done";
  log(done === undefined ? `${end}, no events` : `${end}: ${done}, up to position ${position}`);
}

/** Runs a command's work; every failure becomes one message and an exit code. */
async function exitWith(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    logFailure(error);
    // What went wrong first counts.
    process.exitCode ||= exitCodeOf(error);
  }
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError("expected a port from 0 to 65535; 0 takes a free one");
}

const adopt = [
  "--adopt",
  "begin although the producer state is gone while the streams stand; may double events",
] as const;

const { version } = createRequire(import.meta.url)("rxadd/package.json");

const program = new Command("rxadd")
  .version(version)
  .description(
    "Publishes change events to a Redis Stream, exactly once, and reads them. Results go to stdout, logs to stderr.",
  )
  .addHelpText(
    "after",
    "\nExit codes: 0 done; 2 the configuration or the input is wrong; 3 Redis refused for good.\nCtrl-C finishes what is queued first.",
  )
  .configureOutput({
    outputError: (text, write) => write(printableLines(text.replace(/^error: /, "rxadd: "))),
  })
  .exitOverride();

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
  .action((flags: SinkFlags & OnceFlags & MonitoringOptions & { input?: string }) =>
    exitWith(() =>
      printCheckpoints((outcome) =>
        pipeLines(flags.input, once(configFrom(flags), flags), { ...flags, outcome }, stopSignal()),
      ),
    ),
  );

program
  .command("replicate")
  .description("publish the changes of a database, as a YAML file says")
  .requiredOption("--config <file>", "YAML with the source and the sink")
  .option(...adopt)
  .option("--metrics-port <port>", "serve /metrics, /healthz and /readyz on this port", portOf, 9000)
  .option("--dashboard-port <port>", "show on a page on this port what the sinks do", portOf)
  .option("--no-progress", "do not show how far it is while it catches up")
  .option("--accept-hole", "go on, this once, although the database no longer has all changes")
  .action(({ config, ...flags }: { config: string } & OnceFlags & ReplicateFlags) =>
    exitWith(() =>
      printCheckpoints((outcome) =>
        replicateSource(once(configOf(config), flags), { ...flags, outcome }, stopSignal()),
      ),
    ),
  );

program
  .command("check")
  .description("look at all that a YAML file names, and change nothing")
  .argument("<file>", "YAML with the sinks, and perhaps a source")
  .option("--json", "print each finding as one JSON line")
  .action((file: string, { json = false }: { json?: boolean }) =>
    exitWith(async () => {
      process.exitCode = await checkConfig(configOf(file), json);
    }),
  );

program
  .command("schema")
  .description("print the JSON Schema of the YAML, for editors")
  .action(() => {
    writeOut(configSchema());
  });

addConsumeCommand(program, exitWith);
addStreamsCommand(program, exitWith);

/** Help, and what commander has said is wrong with the arguments, end the command as well. */
async function run(): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  }
}

await run();
await exitWith(flushed);
