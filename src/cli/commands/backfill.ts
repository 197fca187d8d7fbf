import type { Command } from "commander";
import { postgresUri } from "../../options/codecs.ts";
import { importPostgres } from "../configured/importPostgres.ts";
import { pipelinesOf } from "../flags/sinkFlags.ts";
import { type ExitWith, UsageError } from "../terminal/exitCode.ts";
import type { Io } from "../terminal/io.ts";
import type { Terminal } from "../terminal/terminal.ts";

interface BackfillFlags {
  readonly config?: string;
  readonly dsn?: string;
  readonly slot?: string;
  readonly table: string;
  readonly where?: string;
  readonly anew?: true;
}

/** Adds `rxadd backfill`, which asks whoever reads a slot for rows of a table. */
export function addBackfillCommand(
  program: Command,
  { env, log }: Pick<Terminal, "env" | "log">,
  exitWith: ExitWith,
): void {
  program
    .command("backfill")
    .description("ask rxadd replicate, which runs elsewhere or will, for the rows of a table")
    .option("--config <file>", "YAML with the source that is to read them")
    .option("--dsn <uri>", "its database: postgres://…; default: the environment's POSTGRES_URI")
    .option("--slot <name>", "its replication slot (default: rxadd)")
    .requiredOption("--table <name>", "as schema.table")
    .option("--where <conditions>", "only these rows: \"status = 'open' and id > 100\"")
    .option("--anew", "a truncate first, so that what is gone from the table goes from all that follows it")
    .action(({ table, where, anew, ...flags }: BackfillFlags) =>
      exitWith(async () => {
        const { connectionString, slot } = readerFrom(flags, env);
        const { backfill } = await importPostgres();
        await backfill({
          connectionString,
          slot,
          table,
          ...(where !== undefined && { where }),
          ...(anew && { anew }),
        });
        log(`asked for the rows of ${table}: whoever reads slot ${slot} reads them`);
      }),
    );
}

/** Which slot, and where. */
interface Reader {
  readonly connectionString: string;
  readonly slot: string;
}

function readerFrom({ config, dsn, slot }: Omit<BackfillFlags, "table">, env: Io["env"]): Reader {
  if (config === undefined) {
    const uri = dsn ?? env.POSTGRES_URI;
    if (postgresUri.is(uri)) return { connectionString: uri, slot: slot ?? "rxadd" };
    throw new UsageError(
      `--dsn: found ${uri === undefined ? "nothing" : "something else"}, expected ${postgresUri.name}; or set POSTGRES_URI, or use --config FILE`,
    );
  }
  if (dsn !== undefined)
    throw new UsageError("found both --config and --dsn, expected one of them: the file names the source");
  const sources = pipelinesOf(config, env).flatMap(({ source }) =>
    source?.type === "postgres" && (slot ?? source.config.slot) === source.config.slot ? [source.config] : [],
  );
  const [source, ...others] = sources;
  if (source === undefined || others.length > 0) {
    const slots = sources.map((each) => each.slot).join(", ");
    throw new UsageError(
      `${config}: found ${slots === "" ? "no postgres source" : `postgres sources with the slots ${slots}`}${slot === undefined ? "" : ` with --slot ${slot}`}, expected one`,
    );
  }
  if (source.snapshot === "never")
    throw new UsageError(
      `${config}: source.config.snapshot: found never, expected initial or onDemand, with which the source hears of it`,
    );
  return { connectionString: source.dsn, slot: source.slot };
}
