import { finished, type Readable } from "node:stream";
import { NEVER, Observable } from "rxjs";
import type { Flow } from "../../operators/flow.ts";

/**
 * The chunks of a Node stream, which stops reading while `flow` says pause.
 *
 * For one subscription only, as the stream is; unsubscribing destroys it.
 *
 * - **Completion** when the stream has ended.
 * - **Errors** of the stream pass through. A stream that is closed before its end, or that has been read to its end before
 *   the subscription, is an error, too: chunks are missing.
 *
 * @example
 * ```ts
 * const flow = new BehaviorSubject<Flow>("resume");
 * fromReadable(createReadStream("events.bin"), flow).pipe(redisSink({ id, uri, stream, flow }));
 * ```
 */
export function fromReadable<T = Buffer>(readable: Readable, flow: Observable<Flow> = NEVER): Observable<T> {
  return new Observable((subscriber) => {
    if (readable.readableEnded) {
      subscriber.error(
        new Error(
          "fromReadable: found a stream that has been read to its end already, expected one of its own",
        ),
      );
      return;
    }
    const next = (chunk: T) => subscriber.next(chunk);
    // What is said after the end has no listener else, and would end the process.
    readable.on("error", () => {});
    const forget = finished(readable, { writable: false }, (error) => {
      if (!error) subscriber.complete();
      else if (readable.errored !== null) subscriber.error(readable.errored);
      else
        subscriber.error(new Error("fromReadable: the stream was closed before its end", { cause: error }));
    });
    subscriber.add(() => {
      forget();
      readable.off("data", next).destroy();
    });
    readable.on("data", next);
    subscriber.add(
      flow.subscribe({
        next: (signal) => {
          if (signal === "pause") readable.pause();
          else readable.resume();
        },
        error: (error) => subscriber.error(error),
      }),
    );
  });
}
