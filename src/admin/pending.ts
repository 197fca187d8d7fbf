import * as t from "io-ts";
import { EMPTY, expand, map, mergeMap, type Observable } from "rxjs";
import { duration, text } from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { optional, required, Settings, withDefault } from "../options/settings.ts";
import { decodeReply } from "../redis/wire/replies.ts";
import { onStream, type StreamOptions } from "./openStream.ts";

/** What a group has been given and has not acknowledged. */
export interface GroupPending {
  readonly group: string;
  readonly pending: number;
  /** Undefined: nothing is pending. */
  readonly firstEntryId: string | undefined;
  readonly lastEntryId: string | undefined;
  readonly consumers: readonly { readonly consumer: string; readonly pending: number }[];
}

/** An entry that is delivered and not acknowledged. It may have been deleted from the stream since. */
export interface PendingEntry {
  readonly entryId: string;
  readonly consumer: string;
  /** Since it was delivered last, in ms. */
  readonly idleMs: number;
  /** How many times it was delivered. */
  readonly deliveries: number;
}

/** Which pending entries. */
export interface PendingFilter {
  readonly group: string;
  /** Default: every consumer's. */
  readonly consumer?: string | undefined;
  /** Those delivered last at least so long ago, in ms. Default 0: all. */
  readonly minIdleMs?: number | undefined;
}

const orNone = t.union([t.string, t.null]);
const Summary = t.tuple([
  t.number,
  orNone,
  orNone,
  t.union([t.array(t.tuple([t.string, t.string])), t.null]),
]);
const Page = t.array(t.tuple([t.string, t.string, t.number, t.number]));
const pageSize = 1000;

const group = required(text, "Consumer group");
const ofGroup = new Settings({ group }).inProgram();
const filtering = new Settings({
  group,
  consumer: optional(text, "Whose"),
  min_idle_ms: withDefault(duration, 0, "Delivered last at least so long ago"),
}).inProgram();

/** Emits how many entries of a group are pending, and with whom, then completes. */
export function groupPending(at: StreamOptions, group: string): Observable<GroupPending> {
  return onStream(at, ({ key, call }) => {
    decodeOptions(ofGroup, "groupPending", { group }, []);
    return call("XPENDING", key, group).pipe(
      map(decodeReply("XPENDING", Summary)),
      map(([pending, first, last, consumers]) => ({
        group,
        pending,
        firstEntryId: first ?? undefined,
        lastEntryId: last ?? undefined,
        consumers: (consumers ?? []).map(([consumer, count]) => ({ consumer, pending: Number(count) })),
      })),
    );
  });
}

/** Emits the pending entries of a group one by one, from the oldest on, then completes; `take` stops it early. */
export function pendingEntries(at: StreamOptions, filter: PendingFilter): Observable<PendingEntry> {
  return onStream(at, ({ key, call }) => {
    const { group, consumer, minIdleMs } = decodeOptions(filtering, "pendingEntries", filter, []);
    const idle = minIdleMs > 0 ? ["IDLE", minIdleMs] : [];
    const owner = consumer === undefined ? [] : [consumer];
    const page = (start: string) =>
      call("XPENDING", key, group, ...idle, start, "+", pageSize, ...owner).pipe(
        map(decodeReply("XPENDING", Page)),
      );
    return page("-").pipe(
      expand((entries) => {
        const last = entries[pageSize - 1];
        return last === undefined ? EMPTY : page(`(${last[0]}`);
      }),
      mergeMap((entries) => entries),
      map(([entryId, consumer, idleMs, deliveries]) => ({ entryId, consumer, idleMs, deliveries })),
    );
  });
}
