import { fromEvent, map, merge, mergeMap, Observable, retry, Subject, share, timeout, timer } from "rxjs";
import type { Messages } from "../messages.ts";
import type { Update } from "./state.ts";

/** Longer than this the sinks do not keep silent. */
const silenceMs = 3000;
const reconnectMs = 500;
const names = ["history", "sinks", "redis"] as const satisfies readonly (keyof Messages)[];

/** All messages of a server, which is asked again for as long as it takes when it is lost. */
export function serverMessages(url: string): Observable<Update> {
  const lost = new Subject<Update>();
  const messages$ = connection(url).pipe(
    mergeMap((source) =>
      merge(
        ...names.map((name) =>
          fromEvent<MessageEvent<string>>(source, name).pipe(
            // Its own server sends what it has been built with.
            map(({ data }): Update => ({ name, data: JSON.parse(data) })),
          ),
        ),
        fromEvent(source, "error").pipe(
          map(() => {
            throw new Error("the connection is lost");
          }),
        ),
      ),
    ),
    timeout({ each: silenceMs }),
    retry({
      delay: () => {
        lost.next({ name: "lost" });
        return timer(reconnectMs);
      },
    }),
  );
  return merge(lost, messages$).pipe(share());
}

/** A source of server-sent events, closed at the end. */
function connection(url: string): Observable<EventSource> {
  return new Observable((subscriber) => {
    const source = new EventSource(url);
    subscriber.next(source);
    return () => source.close();
  });
}
