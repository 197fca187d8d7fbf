import {
  asyncScheduler,
  concatWith,
  Observable,
  type OperatorFunction,
  type SchedulerLike,
  take,
  tap,
} from "rxjs";
import { after } from "../../operators/after.ts";
import { type RxaddError, rxaddError } from "../errors/rxaddError.ts";

/** How the end of a sink goes. */
interface Closing {
  readonly sink: string;
  /** In ms; undefined: as long as Redis is away. */
  readonly withinMs: number | undefined;
  readonly scheduler: SchedulerLike | undefined;
  /** Nothing more comes, for this reason; undefined: the source has completed. */
  readonly ended$: Observable<unknown>;
  readonly close$: Observable<never>;
}

/** Closes when all is published; what is left at the end of the source may take so long, closing included. */
export function closeWithin<A>({
  sink,
  withinMs,
  scheduler = asyncScheduler,
  ended$,
  close$,
}: Closing): OperatorFunction<A, A> {
  if (withinMs === undefined) return concatWith(close$);
  return (published$) =>
    new Observable((subscriber) => {
      let isSafe = false;
      const safe = () => {
        isSafe = true;
      };
      const startTimer = (cause: unknown) =>
        subscriber.add(
          after(withinMs, scheduler, () => {
            if (isSafe) subscriber.complete();
            else subscriber.error(tooLate(sink, withinMs, cause));
          }),
        );
      subscriber.add(ended$.pipe(take(1)).subscribe(startTimer));
      published$.pipe(tap({ complete: safe }), concatWith(close$)).subscribe(subscriber);
    });
}

function tooLate(sink: string, withinMs: number, cause: unknown): RxaddError {
  return rxaddError(
    "BatchTimedOut",
    `sink ${sink}: found events that are not known to be safe ${withinMs} ms after the source had ended, expected all to be; the status says why: start it again when Redis is back, or raise closeWithinMs`,
    cause,
  );
}
