import type { Command } from "commander";
import { ignoreElements, lastValueFrom, map, merge, type Observable, Subject, takeUntil, tap } from "rxjs";
import type { Flow } from "../../../operators/flow.ts";
import { acknowledge } from "../../consumer/acknowledge.ts";
import { groupDeliveries } from "../../consumer/groupDeliveries.ts";
import { streamEntries } from "../../reader/streamEntries.ts";
import type { StreamEntry } from "../../reader/streamEntry.ts";
import { wholeNumber } from "../flags/numbers.ts";
import { streamAtFrom } from "../flags/streamFlags.ts";
import { type ExitWith, UsageError } from "../terminal/exitCode.ts";
import { consumerLog } from "../terminal/log.ts";
import type { Stdout } from "../terminal/stdout.ts";
import type { Terminal } from "../terminal/terminal.ts";

interface ConsumeFlags {
  readonly config?: string;
  readonly uri?: string;
  readonly stream?: readonly string[];
  readonly from?: string;
  readonly group?: string;
  readonly consumer?: string;
  readonly start?: string;
  readonly claimIdleMs?: number;
  readonly deadLetters?: string;
  readonly field?: string;
  readonly allFields?: boolean;
}

/** Adds `rxadd consume`, which prints the entries of streams. */
export function addConsumeCommand(program: Command, terminal: Terminal, exitWith: ExitWith): void {
  program
    .command("consume")
    .description("print entries as JSON lines, until it is stopped")
    .option("--uri <uri>", "where Redis is: redis://… or rediss://…; default: the environment's REDIS_URI")
    .option("--stream <key...>", "the stream keys")
    .option("--config <file>", "YAML with a sink: how to reach Redis, and the stream")
    .option("--from <entry-id>", "begin after this entry; 0-0: at the beginning (default: what is new)")
    .option("--group <name>", "read as a consumer of this group, and acknowledge what is printed")
    .option("--consumer <name>", "its name in the group (default: host and process)")
    .option("--start <entry-id>", "where a new group begins; $: at what is new (default: 0-0)")
    .option("--claim-idle-ms <ms>", "take over what others do not settle for so long (60000)", wholeNumber)
    .option("--dead-letters <key>", "set aside what cannot be decoded, in this stream")
    .option("--field <name>", "the field that holds the event (default: event)")
    .option("--all-fields", "print all fields as they are, whatever stands in them")
    .action((flags: ConsumeFlags) =>
      exitWith(() => lastValueFrom(printed(terminal, flags), { defaultValue: undefined })),
    );
}

/** Prints entries; completes once it is stopped. */
function printed({ env, out, log, stop }: Terminal, flags: ConsumeFlags): Observable<never> {
  const { stream: streams = [], from, group, config, uri, field, allFields = false } = flags;
  if (field !== undefined && allFields)
    throw new UsageError("found both --field and --all-fields, expected one of them");
  const [first] = streams;
  const { stream, ...server } = streamAtFrom({ config, uri, stream: first }, env);
  const reader = {
    ...server,
    stream: streams.length > 1 ? streams : stream,
    until: stop(),
    observers: unlessClosed(out, consumerLog(log)),
    ...(allFields ? { decodeFields: (all: object) => all } : { field }),
  };
  const toLine = lineMaker(streams.length > 1, allFields ? undefined : (field ?? "event"));

  if (group === undefined) {
    refuseWithoutGroup(flags);
    return printFlowing(out, (flow) => streamEntries({ ...reader, from, flow }).pipe(map(toLine)));
  }
  if (from !== undefined)
    throw new UsageError("found both --from and --group, expected one of them: a group knows where it is");
  const { consumer, start, claimIdleMs, deadLetters } = flags;
  return groupDeliveries({
    ...reader,
    group,
    consumer,
    start,
    claimIdleMs,
    deadLetters: deadLetters === undefined ? undefined : { stream: deadLetters },
  }).pipe(
    acknowledge((_event, delivery) => out.taken(toLine(delivery)), { concurrency: Number.POSITIVE_INFINITY }),
    ignoreElements(),
  );
}

function refuseWithoutGroup({ consumer, start, claimIdleMs, deadLetters }: ConsumeFlags): void {
  const ofGroups = { consumer, start, "claim-idle-ms": claimIdleMs, "dead-letters": deadLetters };
  const [extra] = Object.entries(ofGroups).find(([, value]) => value !== undefined) ?? [];
  if (extra !== undefined) throw new UsageError(`--${extra}: found no --group, expected one as well`);
}

/**
 * The event's own JSON as it stands there: parsed and written again, large numbers would change.
 *
 * @param field - which one holds it; undefined, or one that is not there: all fields
 */
function lineMaker(isOfSeveral: boolean, field?: string): (entry: StreamEntry<unknown>) => string {
  return ({ stream, entryId, fields }) => {
    const head = JSON.stringify(isOfSeveral ? { stream, id: entryId } : { id: entryId });
    const json = field !== undefined && Object.hasOwn(fields, field) ? fields[field] : undefined;
    const event = json?.replaceAll(/[\r\n]/g, " ") ?? JSON.stringify(fields);
    return `${head.slice(0, -1)},"event":${event}}\n`;
  };
}

/** Prints lines; reading pauses while stdout has not taken what it has. */
function printFlowing(out: Stdout, lines: (flow: Observable<Flow>) => Observable<string>): Observable<never> {
  const full$ = new Subject<Flow>();
  const flow$ = merge(full$, out.drained$.pipe(map((): Flow => "resume")));
  return lines(flow$).pipe(
    tap((line) => {
      if (!out.write(line)) full$.next("pause");
    }),
    ignoreElements(),
    takeUntil(out.closed$),
  );
}

/** Once nothing can be printed, everything that is held fails and is handed back, which is one thing and not as many. */
function unlessClosed(
  out: Stdout,
  { status }: ReturnType<typeof consumerLog>,
): ReturnType<typeof consumerLog> {
  return {
    status: (now) => {
      if (now.state !== "rejected" || !out.isClosed) status(now);
    },
  };
}
