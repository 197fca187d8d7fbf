import { isNone, isSome, none, type Option, some } from "fp-ts/lib/Option.js";
import type { ClientConfig } from "pg";
import {
  catchError,
  defer,
  filter,
  from as fromPromise,
  type Observable,
  Subject,
  switchMap,
  tap,
  throwError,
} from "rxjs";
import type { Flow } from "../../../operators/flow.ts";
import { type FailedAttempt, retryBackoff } from "../../../operators/retryBackoff.ts";
import type { ChangeEvent } from "../../changeEvent.ts";
import { isLsn, type Lsn, ordLsn } from "../../lsn.ts";
import type { Source } from "../../source.ts";
import { type Confirmations, confirmations } from "./confirmations.ts";
import { isPassing, PostgresSourceError, postgresErrorOf } from "./postgresError.ts";
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
  /** What a new publication holds, as `schema.table`. Default: all tables. */
  readonly tables?: readonly string[];
  /** Retries after a lost connection, with growing delays. Default: for ever. */
  readonly maxRetries?: number;
  /** Told each time that the slot stands: changes that are committed from now on will be emitted. */
  readonly opened?: {
    readonly next: (slot: { readonly slot: string; readonly confirmedLsn: string }) => void;
  };
  /** Told of each lost connection. */
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
 *   is confirmed that was not acknowledged.
 * - **Reconnects** by itself, and goes on after the last event that it emitted.
 * - **Memory** one event; `flow` stops reading from the server.
 * - **Errors** {@link PostgresSourceError}.
 *
 * @example
 * ```ts
 * const source = postgresChanges({ connectionString: "postgres://localhost/shop", tables: ["public.orders"] });
 * replicate({ source, sink: redisSink({ id, uri, stream }) }).subscribe();
 * ```
 */
export function postgresChanges(options: PostgresOptions): Source<ChangeEvent<Lsn>, Lsn> {
  const { connectionString, slot = "rxadd", publication = "rxadd", tables, failed } = options;
  const config = { ...options.client, connectionString };
  const acknowledged$ = new Subject<Lsn>();
  let safe: Option<Lsn> = none;

  function changes(from: Option<Lsn>, flow: Observable<Flow>): Observable<ChangeEvent<Lsn>> {
    return defer(() => {
      checkName("slot", slot);
      checkName("publication", publication);
      checkAvailable(from, safe);
      if (isSome(from)) safe = from;
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
    return fromPromise(prepare(config, { slot, publication, tables })).pipe(
      tap(({ confirmedLsn }) => options.opened?.next({ slot, confirmedLsn })),
      switchMap(({ db, confirmedLsn }) => {
        const ledger: Confirmations = confirmations(safe, walNumber(confirmedLsn));
        return replicationMessages({
          config,
          slot,
          publication,
          flow,
          confirmed: ledger.confirmed,
          idle: ledger.idle,
          confirm$: acknowledged$.pipe(tap(ledger.acknowledge)),
        }).pipe(
          toChangeEvents(db, ledger.committed),
          filter(
            ({ position }) =>
              isNone(after) || position === undefined || ordLsn.compare(position, after.value) > 0,
          ),
        );
      }),
    );
  }

  function acknowledge(position: Lsn): void {
    if (isNone(safe) || ordLsn.compare(position, safe.value) > 0) safe = some(position);
    acknowledged$.next(position);
  }

  return Object.assign(changes, { acknowledge });
}

/** The server names them in a command that has no quoting. */
function checkName(what: string, name: string): void {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(name)) {
    throw new PostgresSourceError(
      "NotConfigured",
      `${what}: found ${JSON.stringify(name)}, expected up to 63 lower-case letters, digits and underscores`,
    );
  }
}

/** What was acknowledged is confirmed, and the server may have removed it: never skip it silently. */
function checkAvailable(from: Option<Lsn>, safe: Option<Lsn>): void {
  if (isSome(from) && !isLsn(`${from.value}`)) {
    throw new PostgresSourceError(
      "PositionUnavailable",
      `found position ${from.value} to go on from, expected an LSN: give this source a sink id of its own`,
    );
  }
  if (isNone(safe) || (isSome(from) && ordLsn.compare(from.value, safe.value) >= 0)) return;
  throw new PostgresSourceError(
    "PositionUnavailable",
    `found ${isSome(from) ? `position ${from.value}` : "no position"} to go on from, but the changes up to ${safe.value} were acknowledged and PostgreSQL keeps them no longer: fill the stream anew from a snapshot`,
  );
}
