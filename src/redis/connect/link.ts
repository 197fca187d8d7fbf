import type { Cluster, Redis } from "ioredis";
import {
  catchError,
  defer,
  EMPTY,
  filter,
  ignoreElements,
  map,
  merge,
  mergeMap,
  type Observable,
  share,
  switchMap,
  take,
  tap,
  throwError,
  timer,
  type Unsubscribable,
} from "rxjs";
import { type ErrorTag, type RxaddError, rxaddError } from "../../errors/rxaddError.ts";
import { isSilence, redisErrorOf } from "../wire/redisError.ts";
import { eventsOf } from "./clientEvents.ts";
import { patienceOf } from "./patience.ts";
import { isCluster } from "./topology.ts";

/** A client, and what its errors mean. */
export interface Link extends Unsubscribable {
  readonly client: Redis | Cluster;
  /** Calls Redis, once it takes commands; fails with an RxaddError, also when it cannot be reached. */
  readonly call: <A>(command: () => Observable<A>) => Observable<A>;
  /** Emits each time that Redis takes commands again. */
  readonly ready$: Observable<unknown>;
  /** Errors when trying again cannot help. Never emits. */
  readonly failure$: Observable<never>;
  /** Lets what was sent be answered, closes an own client, completes. */
  readonly close$: Observable<never>;
}

/** Whose a client is: ours, opened by a URI, which goes on for ever; ours, made like the caller's, which may give up; the caller's. */
export type Origin = "opened" | "copied" | "given";

/** Before a client that has ended by itself is opened again, in ms. */
const reopenMs = 50;

/** Watches a client, and closes it at the end unless it was given. */
export function link(client: Redis | Cluster, where: string, origin: Origin): Link {
  const isOwned = origin !== "given";
  let isClosing = false;
  const patience = isOwned ? patienceOf(client) : undefined;
  const { ready$, close$, end$, error$, errors$ } = eventsOf(client);

  /** Emits when the client takes commands, or fails: they would wait, unseen, while no Sentinel and no node answers. */
  const reachable$ = merge(
    ready$,
    merge(error$, close$).pipe(
      mergeMap((error) => throwError(() => error ?? new Error("Connection is closed."))),
    ),
  ).pipe(take(1), share());

  /** Answers at once, with the command's outcome or why there is none. */
  const answers = () => client.status === "ready" || client.status === "wait" || client.status === "end";

  const hasEnded = () => client.status === "end" && !isClosing && origin !== "opened";
  const ended = () =>
    rxaddError(
      "ConfigurationInvalid",
      `${where} is closed for good, expected one that stays open: it was quit or disconnected, or its retryStrategy has given up`,
    );

  if (isOwned) {
    // What still fails after the end, such as a last write, concerns nobody; ioredis would print it.
    client.on("error", () => {});
    client.on("close", () => forgetTimer(client));
  }
  const { classify, watching } = meanings(client, where);
  watching.add(
    errors$.subscribe((error) => {
      // While it greets the server nothing large is on its way.
      if (isSilence(error) && client.status === "ready") patience?.lost();
    }),
  );
  // ioredis ends a client for good when Sentinel tells of a failover while it asks for the master.
  if (origin === "opened") {
    const lost$ = end$.pipe(
      filter(() => !isClosing),
      switchMap(() => timer(reopenMs)),
    );
    watching.add(lost$.subscribe(() => client.connect().catch(() => {})));
  }

  return {
    client,
    call: (command) =>
      defer(() => {
        if (hasEnded()) throw ended();
        const sentMs = performance.now();
        const answer$ = answers() ? command() : reachable$.pipe(switchMap(command));
        return patience === undefined
          ? answer$
          : answer$.pipe(tap(() => patience.answered(performance.now() - sentMs)));
      }).pipe(catchError((error) => throwError(() => classify(error)))),
    ready$,
    failure$: merge(
      errors$.pipe(
        map(classify),
        filter(({ _tag }) => finalTags.has(_tag)),
      ),
      end$.pipe(filter(hasEnded), map(ended)),
    ).pipe(mergeMap((error) => throwError(() => error))),
    close$: defer(() => {
      isClosing = true;
      return isOwned ? client.quit().catch(() => client.disconnect()) : EMPTY;
    }).pipe(ignoreElements()),
    unsubscribe: () => {
      isClosing = true;
      watching.unsubscribe();
      if (isOwned) client.disconnect();
    },
  };
}

/** What the errors of a client mean: ioredis rejects commands with a generic one; the cause came before, as an event. */
function meanings(client: Redis | Cluster, where: string) {
  const { ready$, errors$ } = eventsOf(client);
  const hasOneHost = !isCluster(client) && !client.options.sentinels;
  let wasReady = client.status === "ready";
  let lastError: unknown;
  const watching = errors$.subscribe((error) => {
    lastError = error;
  });
  watching.add(
    ready$.subscribe(() => {
      lastError = undefined;
      wasReady = true;
    }),
  );

  function classify(error: unknown): RxaddError {
    const classified = redisErrorOf(error, where);
    const cause =
      classified._tag === "ConnectionLost" && lastError !== undefined
        ? redisErrorOf(lastError, where)
        : classified;
    return cause._tag === "UnknownHost" && (wasReady || !hasOneHost)
      ? rxaddError("Unreachable", `${where}: the host name is not known any more`, error)
      : cause;
  }

  return { classify, watching };
}

/** ioredis 5 keeps the timer of a connection that has closed: it would end the next one, or keep the process alive. */
function forgetTimer(client: Redis | Cluster): void {
  clearTimeout(Reflect.get(client, "socketTimeoutTimer"));
  Reflect.set(client, "socketTimeoutTimer", undefined);
}

/** What trying again cannot help, although ioredis would go on for ever. */
const finalTags: ReadonlySet<ErrorTag> = new Set<ErrorTag>([
  "AuthenticationFailed",
  "TlsRejected",
  "UnknownHost",
  "UnknownMaster",
]);
