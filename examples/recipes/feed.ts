// Entries for browsers, no faster than each takes them. One that comes back names the last that it has seen.
import { Readable } from "node:stream";
import { type StreamEntriesOptions, streamEntries } from "rxadd/consumer";
import { toAsyncIterable } from "rxadd/operators";
import { map, startWith } from "rxjs";

/** Server-sent events for an `EventSource`, which comes back by itself with the header `last-event-id`. */
export function feed(options: StreamEntriesOptions<unknown>): Readable {
  const told = toAsyncIterable(
    (flow) =>
      streamEntries({ ...options, flow }).pipe(
        map(({ entryId, event }) => `id: ${entryId}\ndata: ${JSON.stringify(event)}\n\n`),
        startWith("retry: 1000\n\n"),
      ),
    { maxItems: 200 },
  );
  return Readable.from(told, { objectMode: false });
}

/** After which entry to begin: what a reader says, if it is an ID, else with what is new. */
export function after(lastEventId: unknown): string {
  return typeof lastEventId === "string" && /^\d{1,19}-\d{1,19}$/.test(lastEventId) ? lastEventId : "$";
}
