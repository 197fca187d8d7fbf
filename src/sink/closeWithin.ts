import {
  asyncScheduler,
  concatWith,
  Observable,
  type OperatorFunction,
  pipe,
  type SchedulerLike,
  tap,
} from "rxjs";
import { after } from "../../operators/after.ts";
import { rxaddError } from "../errors/rxaddError.ts";
import type { SinkTuning } from "./sinkTuning.ts";

/** What happens to events, and to the connection behind them. */
interface Work<T, R> {
  readonly publish: OperatorFunction<T, R>;
  readonly close$: Observable<never>;
}

/** Publishes events and closes; from the end of the source on that may take `closeWithinMs`, if that is given. */
export function closeWithin<T, R>(
  sink: string,
  { closeWithinMs }: Pick<SinkTuning, "closeWithinMs">,
  scheduler: SchedulerLike = asyncScheduler,
  { publish, close$ }: Work<T, R>,
): OperatorFunction<T, R> {
  if (closeWithinMs === undefined) return pipe(publish, concatWith(close$));
  return (events$) =>
    new Observable((subscriber) => {
      let isSafe = false;
      const ends = (cause?: unknown) =>
        subscriber.add(
          after(closeWithinMs, scheduler, () => {
            if (isSafe) subscriber.complete();
            else subscriber.error(tooLate(sink, closeWithinMs, cause));
          }),
        );
      const published$ = publish(events$.pipe(tap({ error: ends, complete: ends })));
      const safe = () => {
        isSafe = true;
      };
      published$.pipe(tap({ complete: safe }), concatWith(close$)).subscribe(subscriber);
    });
}

function tooLate(sink: string, closeWithinMs: number, cause: unknown) {
  return rxaddError(
    "BatchTimedOut",
    `sink ${sink}: found events that are not known to be safe ${closeWithinMs} ms after the source had ended, expected all to be; the status says why: start it again when Redis is back, or raise closeWithinMs`,
    cause,
  );
}
