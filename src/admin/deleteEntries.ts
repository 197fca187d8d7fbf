import * as t from "io-ts";
import { concatMap, from, map, type Observable, reduce } from "rxjs";
import { checkOption, entryIdText } from "../options/checkOption.ts";
import { decodeReply } from "../redis/wire/replies.ts";
import { inChunks } from "./inChunks.ts";
import { onStream, type StreamAt } from "./openStream.ts";

const mostAtOnce = 1000;

/**
 * Deletes entries, also those that a group has not read or has pending. Emits how many there were,
 * then completes.
 */
export function deleteEntries(at: StreamAt, entryIds: readonly string[]): Observable<number> {
  return onStream(at, ({ key, call }) => {
    checkOption("entryIds", t.readonlyArray(entryIdText), entryIds);
    return from(inChunks(entryIds, mostAtOnce)).pipe(
      concatMap((some) => call("XDEL", key, ...some)),
      map(decodeReply("XDEL", t.number)),
      reduce((total, deleted) => total + deleted, 0),
    );
  });
}
