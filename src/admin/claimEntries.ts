import * as t from "io-ts";
import { bufferCount, concatMap, EMPTY, expand, from, map, type Observable } from "rxjs";
import { duration, entryId, text } from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { optional, required, Settings } from "../options/settings.ts";
import { decodeReply } from "../redis/wire/replies.ts";
import { type OpenStream, onStream, type StreamOptions } from "./openStream.ts";

/** Which pending entries change hands. */
export interface ClaimOptions {
  readonly group: string;
  /** Who gets them; made if there is no such consumer. */
  readonly consumer: string;
  /** Those delivered last at least so long ago, in ms: longer than a consumer works on one. */
  readonly minIdleMs: number;
  /** Only these. Default: every one that is idle for so long. */
  readonly entryIds?: readonly string[] | undefined;
}

/** Some entries that changed hands. */
export interface Claimed {
  readonly claimed: readonly string[];
  /** Were pending, but had been deleted from the stream: they are pending no more. Known from Redis 7 on. */
  readonly deleted: readonly string[];
}

const EntryIds = t.array(t.string);
const Page = t.union([t.tuple([t.string, EntryIds, EntryIds]), t.tuple([t.string, EntryIds])]);
const pageSize = 1000;

const settings = new Settings({
  group: required(text, "Consumer group"),
  consumer: required(text, "Who gets them"),
  min_idle_ms: required(duration, "Delivered last at least so long ago"),
  entry_ids: optional(t.readonlyArray(entryId), "Only these"),
}).inProgram();

/**
 * Hands stuck entries to another consumer of their group, which gets them when it reads its own pending
 * entries. This counts as no delivery. Emits what was claimed, up to 1,000 entries at a time, then completes.
 */
export function claimEntries(at: StreamOptions, claim: ClaimOptions): Observable<Claimed> {
  return onStream(at, (stream) => {
    const { entryIds } = decodeOptions(settings, "claimEntries", claim, []);
    return entryIds === undefined ? claimIdle(stream, claim) : claimThese(stream, claim, entryIds);
  });
}

function claimIdle(
  { key, call }: OpenStream,
  { group, consumer, minIdleMs }: ClaimOptions,
): Observable<Claimed> {
  const page = (start: string) =>
    call("XAUTOCLAIM", key, group, consumer, minIdleMs, start, "COUNT", pageSize, "JUSTID").pipe(
      map(decodeReply("XAUTOCLAIM", Page)),
    );
  return page("0-0").pipe(
    expand(([next]) => (next === "0-0" ? EMPTY : page(next))),
    map(([, claimed, deleted = []]) => ({ claimed, deleted })),
  );
}

function claimThese(
  { key, call }: OpenStream,
  { group, consumer, minIdleMs }: ClaimOptions,
  entryIds: readonly string[],
): Observable<Claimed> {
  return from(entryIds).pipe(
    bufferCount(pageSize),
    concatMap((some) => call("XCLAIM", key, group, consumer, minIdleMs, ...some, "JUSTID")),
    map(decodeReply("XCLAIM", EntryIds)),
    map((claimed) => ({ claimed, deleted: [] })),
  );
}
