// Each instance of an application knows every feature flag, and hears of each change at once.
// It reads all changes from the first one on, so a restart forgets none; without Redis the flags stay as they were.
import { isRetryable } from "rxadd";
import { streamLength } from "rxadd/admin";
import { streamEntries } from "rxadd/consumer";
import { retryBackoff } from "rxadd/operators";
import {
  distinctUntilChanged,
  fromEvent,
  map,
  NEVER,
  type Observable,
  scan,
  shareReplay,
  skip,
  startWith,
  switchMap,
  takeUntil,
} from "rxjs";

/** Whether each flag is on, by name. */
export type Flags = ReadonlyMap<string, boolean>;

/** A row of the table of flags. */
interface Flag {
  readonly name: string;
  readonly enabled: boolean;
}

interface FlagChange {
  readonly before: Flag | null;
  readonly after: Flag | null;
}

/** All flags, as soon as the changes that are there are read, and again after each change; shared by all who ask. */
export function featureFlags(uri: string, until: Observable<unknown> = NEVER): Observable<Flags> {
  const where = { uri, stream: "flags.events" };
  return streamLength(where).pipe(
    retryBackoff({ isRetryable }),
    switchMap((changes) =>
      streamEntries<FlagChange>({ ...where, from: "0-0" }).pipe(
        scan((flags: Flags, { event }) => changed(flags, event), new Map()),
        startWith<Flags>(new Map()),
        // Nobody shall act on flags as they were long ago.
        skip(changes),
      ),
    ),
    takeUntil(until),
    shareReplay({ bufferSize: 1, refCount: true }),
  );
}

/** Whether one flag is on, now and whenever that changes; a flag that is not there is off. */
export function isOn(flags$: Observable<Flags>, name: string): Observable<boolean> {
  return flags$.pipe(
    map((flags) => flags.get(name) ?? false),
    distinctUntilChanged(),
  );
}

function changed(flags: Flags, { before, after }: FlagChange): Flags {
  const next = new Map(flags);
  if (before !== null) next.delete(before.name);
  if (after !== null) next.set(after.name, after.enabled);
  return next;
}

if (process.argv[1] === import.meta.filename) {
  const uri = process.env.REDIS_URI ?? "redis://localhost:6379";
  featureFlags(uri, fromEvent(process, "SIGINT")).subscribe((flags) =>
    console.log(Object.fromEntries(flags)),
  );
}
