// Entries for readers of many kinds, none faster than its reader takes them. One that comes back names the last that it has seen.
import type { Flow } from "rxadd";
import { type StreamEntriesOptions, type StreamEntry, streamEntries } from "rxadd/consumer";
import { BehaviorSubject, Subscription } from "rxjs";

/** As a stream that can be iterated: it reads ahead a hundred entries, and closes its connection when it is cancelled. */
export function readable<E>(options: StreamEntriesOptions<E>): ReadableStream<StreamEntry<E>> {
  const flow$ = new BehaviorSubject<Flow>("resume");
  const reading = new Subscription();
  return new ReadableStream<StreamEntry<E>>(
    {
      start: (controller) => {
        const entries$ = streamEntries<E>({ ...options, flow: flow$ });
        reading.add(
          entries$.subscribe({
            next: (entry) => {
              controller.enqueue(entry);
              if ((controller.desiredSize ?? 0) <= 0) flow$.next("pause");
            },
            error: (error) => controller.error(error),
            complete: () => controller.close(),
          }),
        );
      },
      pull: () => flow$.next("resume"),
      cancel: () => reading.unsubscribe(),
    },
    { highWaterMark: 100 },
  );
}

/** After which entry to begin: what a reader says, if it is an ID, else with what is new. */
export function after(lastEventId: unknown): string {
  return typeof lastEventId === "string" && /^\d{1,19}-\d{1,19}$/.test(lastEventId) ? lastEventId : "$";
}

/** As server-sent events, for an `EventSource`, which comes back by itself with the header `last-event-id`. */
export function feed(options: StreamEntriesOptions<unknown>): ReadableStream<Uint8Array> {
  const told = new TransformStream<StreamEntry<unknown>, string>({
    start: (out) => out.enqueue("retry: 1000\n\n"),
    transform: ({ entryId, event }, out) => out.enqueue(`id: ${entryId}\ndata: ${JSON.stringify(event)}\n\n`),
  });
  return readable(options).pipeThrough(told).pipeThrough(new TextEncoderStream());
}
