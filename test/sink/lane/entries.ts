import type { Entry } from "../../../src/sink/encode/entry.ts";

/** An entry of which only the part that matters is said. */
export function entryWith<P>(part: Partial<Entry<P>>, ordinal = 0): Entry<P> {
  return {
    ordinal,
    written: { fate: "publish", form: "event", stream: "s", payload: "", bytes: 0 },
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
