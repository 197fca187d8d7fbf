import { BulkWriter } from "../../../src/redis/wire/bulk.ts";
import type { Entry } from "../../../src/sink/encode/entry.ts";

/** An entry of which only the part that matters is said. */
export function entryWith<P>(part: Partial<Entry<P>>, ordinal = 0, payload: string | Buffer = ""): Entry<P> {
  return {
    ordinal,
    stream: "s",
    ...new BulkWriter().writeOne(payload),
    cause: undefined,
    totalBytes: 0,
    id: undefined,
    position: undefined,
    safe: undefined,
    transaction: undefined,
    timeMs: undefined,
    arrivedMs: 0,
    ...part,
  };
}
