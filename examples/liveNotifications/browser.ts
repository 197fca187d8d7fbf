// What the page runs: it connects again by itself, and goes on after the last notification that it has.
import { retryBackoff } from "rxadd/operators";
import { defer, type Observable, repeat, tap } from "rxjs";
import { webSocket } from "rxjs/webSocket";

export interface Notification {
  /** Increases from one to the next. */
  readonly id: string;
  readonly text: string;
}

/** The notifications of a user, each once and in order: those of the last ten minutes, then what comes. */
export function notificationsOf(user: string, url: string): Observable<Notification> {
  return defer(() => {
    let after = "0-0";
    return defer(() => webSocket<Notification>(`${url}?${new URLSearchParams({ user, after })}`)).pipe(
      tap(({ id }) => {
        after = id;
      }),
      // The connection broke, or the server closed it.
      retryBackoff({ initialMs: 200 }),
      repeat({ delay: 200 }),
    );
  });
}
