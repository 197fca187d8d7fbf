import * as t from "io-ts";
import { map, type Observable } from "rxjs";
import { decodeReply, fieldsOf, numberIfKnown } from "../redis/wire/replies.ts";
import { onStream, type StreamOptions } from "./openStream.ts";

/** What a stream holds. */
export interface StreamInfo {
  readonly stream: string;
  /** Entries in the stream. */
  readonly length: number;
  readonly groups: number;
  /** Undefined: the stream is empty. */
  readonly firstEntryId: string | undefined;
  readonly lastEntryId: string | undefined;
  /** The next entry comes after this, also if the stream is empty. */
  readonly lastGeneratedId: string;
  /** Entries ever added; undefined before Redis 7. */
  readonly entriesAdded: number | undefined;
}

const EntryOrNone = t.union([t.tuple([t.string, t.unknown]), t.null, t.undefined]);

const Info = fieldsOf({
  length: t.number,
  groups: t.number,
  "first-entry": EntryOrNone,
  "last-entry": EntryOrNone,
  "last-generated-id": t.string,
  "entries-added": numberIfKnown,
});

/**
 * Emits how many entries a stream has, then completes; 0 if there is no such stream.
 *
 * @example
 * ```ts
 * const entries = await firstValueFrom(streamLength({ uri: "redis://localhost", stream: "orders.events" }));
 * ```
 */
export function streamLength(at: StreamOptions): Observable<number> {
  return onStream(at, ({ key, call }) => call("XLEN", key).pipe(map(decodeReply("XLEN", t.number))));
}

/** Emits what a stream holds, then completes; fails if there is no such stream. */
export function streamInfo(at: StreamOptions): Observable<StreamInfo> {
  return onStream(at, ({ key, call }) =>
    call("XINFO", "STREAM", key).pipe(
      map(decodeReply("XINFO STREAM", Info)),
      map((info) => ({
        stream: key,
        length: info.length,
        groups: info.groups,
        firstEntryId: info["first-entry"]?.[0],
        lastEntryId: info["last-entry"]?.[0],
        lastGeneratedId: info["last-generated-id"],
        entriesAdded: info["entries-added"] ?? undefined,
      })),
    ),
  );
}
