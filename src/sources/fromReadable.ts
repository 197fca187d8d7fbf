import type { Readable } from "node:stream";
import { NEVER, Observable } from "rxjs";
import type { Flow } from "../../operators/flow.ts";

/**
 * The chunks of a Node stream, which stops reading while `flow` says pause.
 *
 * Errors of the stream pass through; unsubscribing destroys it. For one subscription only, as the
 * stream is.
 *
 * @example
 * ```ts
 * const flow = new BehaviorSubject<Flow>("resume");
 * fromReadable(createReadStream("events.bin"), flow).pipe(redisSink({ id, uri, stream, flow }));
 * ```
 */
export function fromReadable<T = Buffer>(readable: Readable, flow: Observable<Flow> = NEVER): Observable<T> {
  return new Observable((subscriber) => {
    const next = (chunk: T) => subscriber.next(chunk);
    const error = (cause: unknown) => subscriber.error(cause);
    const complete = () => subscriber.complete();
    subscriber.add(() => {
      readable.off("data", next).off("end", complete).destroy();
    });
    readable.on("error", error).on("end", complete).on("data", next);
    subscriber.add(
      flow.subscribe((signal) => {
        if (signal === "pause") readable.pause();
        else readable.resume();
      }),
    );
  });
}
