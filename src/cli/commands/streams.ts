import { type Command, InvalidArgumentError } from "commander";
import { filter, lastValueFrom, map, mergeMap, type Observable, of, take, tap } from "rxjs";
import {
  claimEntries,
  deleteEntries,
  groupPending,
  pendingEntries,
  type StreamAt,
  streamGroups,
  streamInfo,
  streamLength,
  trimAcknowledged,
  trimStream,
} from "../../admin/index.ts";
import { type StreamsFlags, streamAtFrom } from "../flags/streamFlags.ts";
import { type ExitWith, UsageError } from "../terminal/exitCode.ts";
import { printResult, printRows } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

interface PendingFlags extends StreamsFlags {
  readonly group?: string;
  readonly consumer?: string;
  readonly idle?: number;
  readonly count?: number;
  readonly details?: boolean;
}

interface ClaimFlags extends StreamsFlags {
  readonly group: string;
  readonly consumer: string;
  readonly idle: number;
}

interface TrimFlags extends StreamsFlags {
  readonly maxLength?: number;
  readonly minId?: string;
  readonly acknowledged?: boolean;
  readonly approximate?: boolean;
}

/** Adds `rxadd streams …`, which looks after a stream and its groups by hand. */
export function addStreamsCommand(program: Command, terminal: Terminal, exitWith: ExitWith): void {
  const at = (flags: StreamsFlags) => streamAtFrom(flags, terminal.env);
  const streams = program
    .command("streams")
    .description("look after a stream and its consumer groups: a table for people, or JSON lines");

  const verb = (name: string, description: string) =>
    streams
      .command(name)
      .description(description)
      .option("--uri <uri>", "where Redis is: redis://… or rediss://…; default: the environment's REDIS_URI")
      .option("--stream <key>", "the stream key")
      .option("--config <file>", "YAML with a sink: how to reach Redis, and the stream")
      .option("--json", "print each row as one JSON line");

  verb("length", "how many entries the stream has").action((flags: StreamsFlags) =>
    exitWith(() => length(terminal, at(flags), flags)),
  );

  verb("info", "the stream's length, groups and entry IDs").action((flags: StreamsFlags) =>
    exitWith(() => info(terminal, at(flags), flags)),
  );

  verb("groups", "the consumer groups, and how far each is").action((flags: StreamsFlags) =>
    exitWith(() => groups(terminal, at(flags), flags)),
  );

  verb("pending", "what was delivered and is not acknowledged: for each group, or entry by entry")
    .option("--group <name>", "only this group")
    .option("--details", "entry by entry; also by --consumer, --idle or --count")
    .option("--consumer <name>", "only this consumer's")
    .option("--idle <ms>", "only what was delivered last at least so long ago", wholeNumber)
    .option("--count <n>", "the oldest n entries (default: 100)", wholeNumber)
    .action((flags: PendingFlags) => exitWith(() => pending(terminal, at(flags), flags)));

  verb("claim", "hand stuck entries to another consumer of their group")
    .argument("[entry-id...]", "only these; default: all that are idle for so long")
    .requiredOption("--group <name>", "the group")
    .requiredOption("--consumer <name>", "who gets them")
    .requiredOption("--idle <ms>", "those delivered last at least so long ago", wholeNumber)
    .action((entryIds: string[], flags: ClaimFlags) =>
      exitWith(() => claim(terminal, at(flags), entryIds, flags)),
    );

  verb("trim", "remove the oldest entries")
    .option("--max-length <n>", "keep the newest n entries", wholeNumber)
    .option("--min-id <entry-id>", "keep the entries from this one on")
    .option("--acknowledged", "keep what a group has not read or not acknowledged")
    .option("--approximate", "remove only whole nodes of the stream, which is cheaper")
    .action((flags: TrimFlags) => exitWith(() => trim(terminal, at(flags), flags)));

  verb("delete", "delete entries, also those that are not acknowledged yet")
    .argument("<entry-id...>", "the entries")
    .action((entryIds: string[], flags: StreamsFlags) =>
      exitWith(() => remove(terminal, at(flags), entryIds, flags)),
    );
}

/** Reads a flag's number. */
export function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("expected a whole number from 0 on");
}

function counted(count: number): string {
  return `${count} ${count === 1 ? "entry" : "entries"}`;
}

function length({ out }: Terminal, at: StreamAt, { json = false }: StreamsFlags): Promise<void> {
  const rows$ = streamLength(at).pipe(map((entries) => ({ stream: at.stream, length: entries })));
  return printRows(
    out,
    rows$,
    [
      ["stream", "STREAM"],
      ["length", "ENTRIES"],
    ],
    json,
  );
}

function info({ out }: Terminal, at: StreamAt, { json = false }: StreamsFlags): Promise<void> {
  return printRows(
    out,
    streamInfo(at).pipe(map((found) => ({ ...found }))),
    [
      ["stream", "STREAM"],
      ["length", "ENTRIES"],
      ["groups", "GROUPS"],
      ["firstEntryId", "FIRST ENTRY"],
      ["lastEntryId", "LAST ENTRY"],
      ["lastGeneratedId", "LAST EVER"],
      ["entriesAdded", "EVER ADDED"],
    ],
    json,
  );
}

function groups({ out }: Terminal, at: StreamAt, { json = false }: StreamsFlags): Promise<void> {
  return printRows(
    out,
    streamGroups(at).pipe(mergeMap((found) => found.map((group) => ({ ...group })))),
    [
      ["group", "GROUP"],
      ["consumers", "CONSUMERS"],
      ["pending", "PENDING"],
      ["lag", "LAG"],
      ["lastDeliveredId", "LAST DELIVERED"],
    ],
    json,
  );
}

function pending(terminal: Terminal, at: StreamAt, flags: PendingFlags): Promise<void> {
  const { group, consumer, idle, count, details } = flags;
  const isDetailed = details ?? (consumer ?? idle ?? count) !== undefined;
  if (!isDetailed) return pendingSummary(terminal, at, flags);
  if (group === undefined) {
    throw new UsageError("--group: found nothing, expected a group: entries are pending in a group");
  }
  return pendingDetails(terminal, at, group, flags);
}

function pendingSummary(
  { out }: Terminal,
  at: StreamAt,
  { group, json = false }: PendingFlags,
): Promise<void> {
  const groups$: Observable<string> =
    group === undefined
      ? streamGroups(at).pipe(mergeMap((found) => found.map(({ group: name }) => name)))
      : of(group);
  return printRows(
    out,
    groups$.pipe(
      mergeMap((name) => groupPending(at, name), 1),
      map((found) => ({ ...found })),
    ),
    [
      ["group", "GROUP"],
      ["pending", "PENDING"],
      ["firstEntryId", "FIRST ENTRY"],
      ["lastEntryId", "LAST ENTRY"],
      ["consumers", "CONSUMERS"],
    ],
    json,
  );
}

async function pendingDetails(
  { out, log }: Terminal,
  at: StreamAt,
  group: string,
  flags: PendingFlags,
): Promise<void> {
  const { consumer, idle, count = 100, json = false } = flags;
  let found = 0;
  const rows$ = pendingEntries(at, { group, consumer, minIdleMs: idle }).pipe(
    take(count + 1),
    tap(() => {
      found += 1;
    }),
    filter((_entry, index) => index < count),
    map((entry) => ({ ...entry })),
  );
  await printRows(
    out,
    rows$,
    [
      ["entryId", "ENTRY"],
      ["consumer", "CONSUMER"],
      ["idleMs", "IDLE MS"],
      ["deliveries", "DELIVERIES"],
    ],
    json,
  );
  if (found > count) log(`there are more than ${count}; --count shows more`);
}

async function claim(
  { out, log }: Terminal,
  at: StreamAt,
  entryIds: readonly string[],
  flags: ClaimFlags,
): Promise<void> {
  const { group, consumer, idle, json = false } = flags;
  const these = entryIds.length === 0 ? undefined : entryIds;
  let claimed = 0;
  let deleted = 0;
  const rows$ = claimEntries(at, { group, consumer, minIdleMs: idle, entryIds: these }).pipe(
    tap((some) => {
      claimed += some.claimed.length;
      deleted += some.deleted.length;
    }),
    mergeMap((some) => [
      ...some.claimed.map((entryId) => ({ entryId, consumer, state: "claimed" })),
      ...some.deleted.map((entryId) => ({ entryId, consumer: undefined, state: "deleted before" })),
    ]),
  );
  await printRows(
    out,
    rows$,
    [
      ["entryId", "ENTRY"],
      ["consumer", "CONSUMER"],
      ["state", "STATE"],
    ],
    json,
  );
  const gone = deleted === 0 ? "" : `; ${counted(deleted)} had been deleted, and are pending no more`;
  log(`${consumer} of ${group} has ${counted(claimed)} more to handle${gone}`);
}

async function trim(terminal: Terminal, at: StreamAt, flags: TrimFlags): Promise<void> {
  const { maxLength, minId, acknowledged, approximate, json = false } = flags;
  const given = [maxLength, minId, acknowledged].filter((flag) => flag !== undefined);
  if (given.length !== 1) {
    throw new UsageError(
      `found ${given.length} of --max-length, --min-id and --acknowledged, expected exactly one of them`,
    );
  }
  if (acknowledged) return trimByGroups(terminal, at, flags);
  const limit = minId === undefined ? { maxLength: maxLength ?? 0, approximate } : { minId, approximate };
  const { removed, length: left } = await lastValueFrom(trimStream(at, limit));
  printResult(terminal.out, { stream: at.stream, removed, length: left }, trimmed(at, removed, left), json);
}

function trimmed({ stream }: StreamAt, removed: number, left: number): string {
  return `${stream}: removed ${counted(removed)}, ${left} left`;
}

async function trimByGroups(
  { out }: Terminal,
  at: StreamAt,
  { approximate, json = false }: TrimFlags,
): Promise<void> {
  const result = await lastValueFrom(trimAcknowledged(at, { approximate }));
  const { removed, length: left, groups: number, heldBy, heldAt } = result;
  const why =
    heldAt === undefined ? "" : `; ${heldBy} has not acknowledged or not read ${heldAt} and what follows`;
  const sentence =
    number === 0
      ? `${at.stream}: no group reads this stream, so nothing was removed, ${left} left`
      : `${trimmed(at, removed, left)}${why}`;
  printResult(out, { stream: at.stream, ...result }, sentence, json);
}

async function remove(
  { out }: Terminal,
  at: StreamAt,
  entryIds: readonly string[],
  { json = false }: StreamsFlags,
) {
  const deleted = await lastValueFrom(deleteEntries(at, entryIds));
  const missing = entryIds.length - deleted;
  const unknown =
    missing === 0 ? "" : `; ${counted(missing)} named ${missing === 1 ? "was" : "were"} not there`;
  printResult(
    out,
    { stream: at.stream, deleted, missing },
    `${at.stream}: deleted ${counted(deleted)}${unknown}`,
    json,
  );
}
