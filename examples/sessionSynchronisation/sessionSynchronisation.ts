// Every instance knows who is logged in: a login or a change on one of them is known to all at once, and so is a logout.
// What an instance missed while it or Redis was away it reads afterwards; a session ends by itself when its time is over.
import { streamEntries } from "rxadd/consumer";
import {
  defer,
  filter,
  finalize,
  fromEvent,
  groupBy,
  map,
  mergeMap,
  type Observable,
  of,
  Subject,
  startWith,
  switchMap,
  takeUntil,
  timer,
} from "rxjs";

/** A row of the table of sessions; a session's time is over an hour after its last change at the latest. */
export interface Session {
  readonly id: string;
  readonly user: string;
  /** When its time is over, in ms since 1970. */
  readonly expires: number;
}

interface SessionChange {
  readonly before: Session | null;
  readonly after: Session | null;
}

/** What has become of a session; undefined: it has ended. */
export interface SessionState {
  readonly id: string;
  readonly session: Session | undefined;
}

/** An hour, and a minute by which clocks may differ. */
const longestMs = 61 * 60_000;

/** Each session that lives, then whatever becomes of any: who keeps a connection for it closes that at its end. */
export function sessionStates(uri: string): Observable<SessionState> {
  // Older changes are of sessions whose time is over.
  const from = () => `${Date.now() - longestMs}`;
  const lives = switchMap(lifeOf);
  const end = filter(({ session }: SessionState) => session === undefined);
  return defer(() => {
    const left = new Subject<void>();
    return streamEntries<SessionChange>({ uri, stream: "sessions.events", from: from() }).pipe(
      // groupBy reads on while anyone listens to a group, and what tells its duration does.
      takeUntil(left),
      map(({ event }) => event),
      // One Observable a session, forgotten when it has ended.
      groupBy(idOf, { duration: (ofOne$) => ofOne$.pipe(lives, end) }),
      mergeMap((ofOne$) => ofOne$.pipe(lives)),
      finalize(() => left.next()),
    );
  });
}

/** A session as it is now, and its end when its time is over; a change begins a new life. */
function lifeOf(change: SessionChange): Observable<SessionState> {
  const id = idOf(change);
  const { after } = change;
  const ended = { id, session: undefined };
  return after === null || after.expires <= Date.now()
    ? of(ended)
    : timer(new Date(after.expires)).pipe(
        map(() => ended),
        startWith({ id, session: after }),
      );
}

function idOf({ before, after }: SessionChange): string {
  return after?.id ?? before?.id ?? "";
}

if (process.argv[1] === import.meta.filename) {
  const uri = process.env.REDIS_URI ?? "redis://localhost:6379";
  sessionStates(uri)
    .pipe(takeUntil(fromEvent(process, "SIGINT")))
    .subscribe(({ id, session }) => console.log(session ? `${id} is ${session.user}'s` : `${id} has ended`));
}
