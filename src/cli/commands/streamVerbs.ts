import { filter, lastValueFrom, map, mergeMap, type Observable, of, take, tap } from "rxjs";
import {
  claimEntries,
  deleteEntries,
  groupPending,
  pendingEntries,
  type StreamOptions,
  streamGroups,
  streamInfo,
  streamLength,
  trimAcknowledged,
  trimStream,
} from "../../admin/index.ts";
import type { StreamsFlags } from "../flags/streamFlags.ts";
import { UsageError } from "../terminal/exitCode.ts";
import { printResult, printRows } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

/** What `pending` shows. */
export interface PendingFlags extends StreamsFlags {
  readonly group?: string;
  readonly consumer?: string;
  readonly idle?: number;
  readonly count?: number;
  readonly details?: boolean;
}

/** What `claim` takes, and for whom. */
export interface ClaimFlags extends StreamsFlags {
  readonly group: string;
  readonly consumer: string;
  readonly idle: number;
}

/** How far `trim` goes. */
export interface TrimFlags extends StreamsFlags {
  readonly maxLength?: number;
  readonly minId?: string;
  readonly acknowledged?: boolean;
  readonly approximate?: boolean;
}

function counted(count: number): string {
  return `${count} ${count === 1 ? "entry" : "entries"}`;
}

/** How many entries a stream has. */
export function length({ out }: Terminal, at: StreamOptions, { json = false }: StreamsFlags): Promise<void> {
  const rows$ = streamLength(at).pipe(map((entries) => ({ stream: at.stream, length: entries })));
  return printRows(out, rows$, { stream: "STREAM", length: "ENTRIES" }, json);
}

/** Its length, groups and entry IDs. */
export function info({ out }: Terminal, at: StreamOptions, { json = false }: StreamsFlags): Promise<void> {
  return printRows(
    out,
    streamInfo(at),
    {
      stream: "STREAM",
      length: "ENTRIES",
      groups: "GROUPS",
      firstEntryId: "FIRST ENTRY",
      lastEntryId: "LAST ENTRY",
      lastGeneratedId: "LAST EVER",
      entriesAdded: "EVER ADDED",
    },
    json,
  );
}

/** Its consumer groups, and how far each is. */
export function groups({ out }: Terminal, at: StreamOptions, { json = false }: StreamsFlags): Promise<void> {
  return printRows(
    out,
    streamGroups(at).pipe(mergeMap((found) => found)),
    {
      group: "GROUP",
      consumers: "CONSUMERS",
      pending: "PENDING",
      lag: "LAG",
      lastDeliveredId: "LAST DELIVERED",
    },
    json,
  );
}

/** What was delivered and is not acknowledged. */
export function pending(terminal: Terminal, at: StreamOptions, flags: PendingFlags): Promise<void> {
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
  at: StreamOptions,
  { group, json = false }: PendingFlags,
): Promise<void> {
  const groups$: Observable<string> =
    group === undefined
      ? streamGroups(at).pipe(mergeMap((found) => found.map(({ group: name }) => name)))
      : of(group);
  return printRows(
    out,
    groups$.pipe(mergeMap((name) => groupPending(at, name), 1)),
    {
      group: "GROUP",
      pending: "PENDING",
      firstEntryId: "FIRST ENTRY",
      lastEntryId: "LAST ENTRY",
      consumers: "CONSUMERS",
    },
    json,
  );
}

async function pendingDetails(
  { out, log }: Terminal,
  at: StreamOptions,
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
  );
  await printRows(
    out,
    rows$,
    { entryId: "ENTRY", consumer: "CONSUMER", idleMs: "IDLE MS", deliveries: "DELIVERIES" },
    json,
  );
  if (found > count) log(`there are more than ${count}; --count shows more`);
}

/** Hands stuck entries to another consumer. */
export async function claim(
  { out, log }: Terminal,
  at: StreamOptions,
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
  await printRows(out, rows$, { entryId: "ENTRY", consumer: "CONSUMER", state: "STATE" }, json);
  const gone = deleted === 0 ? "" : `; ${counted(deleted)} had been deleted, and are pending no more`;
  log(`${consumer} of ${group} has ${counted(claimed)} more to handle${gone}`);
}

/** Removes the oldest entries. */
export async function trim(terminal: Terminal, at: StreamOptions, flags: TrimFlags): Promise<void> {
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

function trimmed({ stream }: StreamOptions, removed: number, left: number): string {
  return `${stream}: removed ${counted(removed)}, ${left} left`;
}

async function trimByGroups(
  { out }: Terminal,
  at: StreamOptions,
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

/** Deletes entries. */
export async function remove(
  { out }: Terminal,
  at: StreamOptions,
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
