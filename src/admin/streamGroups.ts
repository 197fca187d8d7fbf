import * as t from "io-ts";
import { map, type Observable } from "rxjs";
import { decodeReply, fieldsOf, numberIfKnown } from "../redis/wire/replies.ts";
import { onStream, type StreamAt } from "./openStream.ts";

/** How far a consumer group is. */
export interface StreamGroup {
  readonly group: string;
  readonly consumers: number;
  /** Entries delivered and not acknowledged. */
  readonly pending: number;
  readonly lastDeliveredId: string;
  /** Entries not delivered yet; undefined: Redis does not know, as before version 7 and after deletions. */
  readonly lag: number | undefined;
}

const Groups = t.array(
  fieldsOf({
    name: t.string,
    consumers: t.number,
    pending: t.number,
    "last-delivered-id": t.string,
    lag: numberIfKnown,
  }),
);

/** Emits the consumer groups of a stream, then completes; fails if there is no such stream. */
export function streamGroups(at: StreamAt): Observable<readonly StreamGroup[]> {
  return onStream(at, ({ key, call }) =>
    call("XINFO", "GROUPS", key).pipe(
      map(decodeReply("XINFO GROUPS", Groups)),
      map((groups) =>
        groups.map((found) => ({
          group: found.name,
          consumers: found.consumers,
          pending: found.pending,
          lastDeliveredId: found["last-delivered-id"],
          lag: found.lag ?? undefined,
        })),
      ),
    ),
  );
}
