import { fromEvent, merge, type Observable, ReplaySubject, take, tap } from "rxjs";
import type { Io } from "./io.ts";
import type { Log } from "./log.ts";

/**
 * Emits when the user wants the command to finish: SIGINT, SIGTERM, or a closed stdout. The command
 * then drains; a second signal ends it at once, which loses nothing that a checkpoint has covered.
 *
 * It listens for as long as the process lives: also a source that has ended may leave much to drain.
 */
export function stopSignal(io: Io, log: Log, stdoutClosed$: Observable<unknown>): Observable<unknown> {
  const stop$ = new ReplaySubject<unknown>(1);
  const asked$ = merge(fromEvent(io, "SIGINT"), fromEvent(io, "SIGTERM")).pipe(
    tap(() => {
      log("finishing what is queued; press Ctrl-C again to stop at once");
      io.once("SIGINT", () => io.exit(130));
      io.once("SIGTERM", () => io.exit(143));
    }),
  );
  merge(asked$, stdoutClosed$).pipe(take(1)).subscribe(stop$);
  return stop$;
}
