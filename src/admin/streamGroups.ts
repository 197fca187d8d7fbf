import { map, type Observable } from "rxjs";
import { groupsOf } from "../redis/inspect/groups.ts";
import type { StreamGroup } from "../telemetry/groupFigures.ts";
import { onStream, type StreamOptions } from "./openStream.ts";

/** Emits the consumer groups of a stream, then completes; fails if there is no such stream. */
export function streamGroups(at: StreamOptions): Observable<readonly StreamGroup[]> {
  return onStream(at, ({ key, call }) => call("XINFO", "GROUPS", key).pipe(map(groupsOf)));
}
