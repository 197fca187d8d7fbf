import { isNone, isSome, none, type Option, some } from "fp-ts/lib/Option.js";
import type { ClientConfig } from "pg";
import { catchError, defer, filter, type Observable, Subject, switchMap, tap, throwError } from "rxjs";
import type { Flow } from "../../../operators/flow.ts";
import { type FailedAttempt, retryBackoff } from "../../../operators/retryBackoff.ts";
import type { ChangeEvent } from "../../changeEvent.ts";
import { type Lsn, ordLsn } from "../../lsn.ts";
import type { Source } from "../../source.ts";
import { checkAvailable, checkServer } from "./checkAvailable.ts";
import { checkOptions } from "./checkOptions.ts";
import { confirmations } from "./confirmations.ts";
import { isPassing, postgresErrorOf } from "./postgresError.ts";
import { prepare } from "./prepare.ts";
import { replicationMessages } from "./replicationMessages.ts";
import { toChangeEvents } from "./toChangeEvents.ts";
import { walNumber } from "./walPosition.ts";

/** Which changes to read, and from where. */
export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly connectionString: string;
  /** Further settings of `pg`, such as `ssl`. */
  readonly client?: ClientConfig;
  /** The replication slot, made if missing; one process at a time reads it. Default `rxadd`. */
  readonly slot?: string;
  /** The publication, made if missing. Default `rxadd`. */
  readonly publication?: string;
  /** What the publication holds, as `schema.table`. Default: all tables, or what one that stands holds. */
  readonly tables?: readonly string[];
  /** Retries after a lost connection, with growing delays. Default: for ever. */
  readonly maxRetries?: number;
  /** Told each time that the slot stands: changes that are committed from now on will be emitted. */
  readonly opened?: {
    readonly next: (slot: { readonly slot: string; readonly confirmedLsn: string }) => void;
  };
  /** Told of each lost connection, and each time that another process has the slot. */
  readonly failed?: { readonly next: (attempt: FailedAttempt) => void };
}

/**
 * The row changes of a PostgreSQL database, by logical replication: inserts, updates, deletes and
 * truncates of committed transactions, in commit order.
 *
 * - **Positions** the LSN of the transaction's commit and the number of the change in it; strictly
 *   increasing, and the same on every replay, as is the event's `id`.
 * - **Transactions** are marked, so that a sink publishes each in one step.
 * - **Acknowledgement** moves the slot's confirmed LSN, which lets the server remove old log. Nothing
 *   is confirmed that was not acknowledged; the position to go on from counts as acknowledged.
 * - **Reconnects** by itself, and goes on after the last event that it emitted.
 * - **Memory** one event; `flow` stops reading from the server.
 * - **Errors** {@link PostgresSourceError}; what trying again may mend ends it after `maxRetries` only.
 * - **Teardown** closes the connection at once, which frees the slot.
 *
 * @example
 * ```ts
 * const source = postgresChanges({ connectionString: "postgres://localhost/shop", tables: ["public.orders"] });
 * replicate({ source, sink: redisSink({ id, uri, stream }) }).subscribe();
 * ```
 */
export function postgresChanges(options: PostgresOptions): Source<ChangeEvent<Lsn>, Lsn> {
  const { connectionString, slot = "rxadd", publication = "rxadd", tables, opened, failed } = options;
  const config = { connectionTimeoutMillis: 10_000, ...options.client, connectionString };
  const acknowledged$ = new Subject<Lsn>();
  /** Everything up to here is safe, says whoever reads this source. */
  let acknowledged: Option<Lsn> = none;
  /** Everything up to here the server was told to forget. */
  let forgotten: Option<Lsn> = none;
  let hasOpened = false;

  function changes(from: Option<Lsn>, flow: Observable<Flow>): Observable<ChangeEvent<Lsn>> {
    return defer(() => {
      checkOptions({ slot, publication, tables });
      checkAvailable(from, forgotten);
      // What was acknowledged beyond it is safe no longer, or it would not be asked for again.
      acknowledged = from;
      let last = from;
      return defer(() => connect(last, flow)).pipe(
        tap(({ position }) => {
          if (position !== undefined) last = some(position);
        }),
        catchError((error) => throwError(() => postgresErrorOf(error, connectionString))),
        retryBackoff({
          isRetryable: isPassing,
          ...(options.maxRetries === undefined ? {} : { maxRetries: options.maxRetries }),
          ...(failed && { failed }),
        }),
      );
    });
  }

  /** One connection's worth of changes, strictly after a position. */
  function connect(after: Option<Lsn>, flow: Observable<Flow>): Observable<ChangeEvent<Lsn>> {
    const isFirstRun = isNone(after) && !hasOpened;
    return prepare(config, { slot, publication, tables, isFirstRun }).pipe(
      tap(({ confirmedLsn, logEnd }) => {
        checkServer(after, logEnd);
        hasOpened = true;
        opened?.next({ slot, confirmedLsn });
      }),
      switchMap(({ db, confirmedLsn, senderTimeoutMs }) => {
        const { committed, idle, confirmed } = confirmations({
          start: walNumber(confirmedLsn),
          acknowledged: () => acknowledged,
          forget: (last) => {
            forgotten = some(last);
          },
        });
        return replicationMessages({
          config,
          slot,
          publication,
          flow,
          senderTimeoutMs,
          confirmed,
          idle,
          confirm$: acknowledged$,
        }).pipe(
          toChangeEvents(db, committed),
          filter(
            ({ position }) =>
              isNone(after) || position === undefined || ordLsn.compare(position, after.value) > 0,
          ),
        );
      }),
    );
  }

  function acknowledge(position: Lsn): void {
    if (isSome(acknowledged) && ordLsn.compare(position, acknowledged.value) <= 0) return;
    acknowledged = some(position);
    acknowledged$.next(position);
  }

  return Object.assign(changes, { acknowledge });
}
