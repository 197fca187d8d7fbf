import * as t from "io-ts";
import { bufferCount, concatMap, from, map, type Observable, reduce } from "rxjs";
import { entryId } from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { required, Settings } from "../options/settings.ts";
import { decodeReply } from "../redis/wire/replies.ts";
import { onStream, type StreamOptions } from "./openStream.ts";

const mostAtOnce = 1000;

const settings = new Settings({ entry_ids: required(t.readonlyArray(entryId), "Which") }).inProgram();

/**
 * Deletes entries, also those that a group has not read or has pending. Emits how many there were,
 * then completes.
 */
export function deleteEntries(at: StreamOptions, entryIds: readonly string[]): Observable<number> {
  return onStream(at, ({ key, call }) => {
    decodeOptions(settings, "deleteEntries", { entryIds }, []);
    return from(entryIds).pipe(
      bufferCount(mostAtOnce),
      concatMap((some) => call("XDEL", key, ...some)),
      map(decodeReply("XDEL", t.number)),
      reduce((total, deleted) => total + deleted, 0),
    );
  });
}
