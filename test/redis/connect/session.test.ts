import { defer, NEVER, type Observable, of, Subject, throwError } from "rxjs";
import { describe, expect, it } from "vitest";
import { type RetryBackoffOptions, retryBackoff } from "../../../operators/retryBackoff.ts";
import { rxaddError } from "../../../src/errors/rxaddError.ts";
import { session } from "../../../src/redis/connect/session.ts";

type Work = (connection: object, again: RetryBackoffOptions) => Observable<string>;

/** A session that does `work`, and what happens in it, in order. */
function sessionOf(work: Work) {
  const log: unknown[] = [];
  const ready$ = new Subject<void>();
  const reporter = {
    report: ({ state }: { readonly state: string }) => log.push(state),
    failed: ({ attempt }: { readonly attempt: number }) => log.push(`failed ${attempt}`),
    closed: (cause: unknown) => log.push(cause),
  };
  const open = () => {
    log.push("open");
    return { ready$, unsubscribe: () => log.push("unsubscribed") };
  };
  const session$ = session({ open, retry: { initialMs: 60_000 }, reporter }, work);
  return { log, ready$, session$ };
}

describe("session", () => {
  it("opens nothing before it is subscribed to, and closes when the work is done", () => {
    const { log, session$ } = sessionOf(() => of("a"));
    expect(log).toEqual([]);
    session$.subscribe((value) => log.push(value));

    expect(log).toEqual(["connecting", "open", "a", undefined, "unsubscribed"]);
  });

  it("tells what the work fails with, before it passes that on", () => {
    const error = rxaddError("WrongType", "no stream");
    const { log, session$ } = sessionOf(() => throwError(() => error));
    session$.subscribe({ error: (thrown) => log.push(thrown) });

    expect(log).toEqual(["connecting", "open", error, error, undefined, "unsubscribed"]);
  });

  it("tries the work again as soon as Redis takes commands again", () => {
    const lost = rxaddError("ConnectionLost", "away");
    let tries = 0;
    const { log, ready$, session$ } = sessionOf((_connection, again) =>
      defer(() => {
        tries += 1;
        return tries === 1 ? throwError(() => lost) : of("a");
      }).pipe(retryBackoff(again)),
    );
    session$.subscribe((value) => log.push(value));
    ready$.next();

    expect(log).toEqual(["connecting", "open", "failed 1", "a", undefined, "unsubscribed"]);
  });

  it("closes at once when nobody listens any more", () => {
    const { log, session$ } = sessionOf(() => NEVER);
    session$.subscribe().unsubscribe();

    expect(log).toEqual(["connecting", "open", undefined, "unsubscribed"]);
  });
});
