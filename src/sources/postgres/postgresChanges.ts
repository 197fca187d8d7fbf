import type { ClientConfig } from "pg";
import {
  BehaviorSubject,
  catchError,
  defer,
  filter,
  type Observable,
  Subject,
  switchMap,
  throwError,
} from "rxjs";
import type { Flow } from "../../../operators/flow.ts";
import { type FailedAttempt, retryBackoff } from "../../../operators/retryBackoff.ts";
import { isRetryable } from "../../errors/rxaddError.ts";
import type { ChangeEvent, Row } from "../../event/changeEvent.ts";
import { type Lsn, ordLsn } from "../../event/lsn.ts";
import { refuseUnknown } from "../../options/decodeOptions.ts";
import type { Source } from "../../pipeline/source.ts";
import type { SnapshotProgress } from "../../telemetry/snapshotProgress.ts";
import { heedFlow } from "../heedFlow.ts";
import { checkPosition, missing, partingOf, unavailable } from "./checkAvailable.ts";
import { checkOptions } from "./checkOptions.ts";
import { confirmations } from "./confirmations.ts";
import { mends, postgresErrorOf, slotLost } from "./postgresError.ts";
import { prepare, type SnapshotChoice } from "./prepare.ts";
import { replicationChanges } from "./replicationChanges.ts";
import type { Snapshot } from "./snapshot/snapshot.ts";
import { readsText } from "./snapshot/tableRead.ts";
import { sharedUpTo, type Timelines, toComeAgain } from "./timelines.ts";
import { walNumber } from "./walPosition.ts";

/** A slot that a source is about to read. */
export interface OpenedSlot {
  readonly slot: string;
  /** The server has forgotten the log up to here. */
  readonly confirmedLsn: string;
  /** Which changes are gone, where `acceptHole` lets it go on without them; undefined: none. */
  readonly hole: string | undefined;
}

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
  /** What the publication holds, as `schema.table`; `[]`: no table. Default: all tables, or what one that stands holds. */
  readonly tables?: readonly string[] | undefined;
  /**
   * Messages that are events as well, by their prefix: those of `pg_logical_emit_message(true, 'shop', …)` with `["shop"]`, in
   * their place in the transaction. Default: none.
   */
  readonly messages?: readonly string[] | undefined;
  /**
   * Whether changes of partitions are those of their partitioned table, under its name, in a publication that is made. Default: as
   * PostgreSQL has it, those of the partitions, or as one that stands.
   */
  readonly viaPartitionRoot?: boolean | undefined;
  /** Whether the slot goes along when a standby takes over, from PostgreSQL 17 on. Default false: a promoted standby has no slot. */
  readonly failover?: boolean;
  /** Retries after a lost connection, with growing delays. Default: for ever. */
  readonly maxRetries?: number;
  /**
   * Go on although changes are gone at the start, instead of ending with `PositionUnavailable`: once, when somebody has decided
   * so. What a sink loses later ends it all the same. Needed at each start where no sink keeps the position, and the slot is
   * the only mark. Default false.
   */
  readonly acceptHole?: boolean;
  /**
   * Which rows that are there already come as events with `op: "r"`: `"initial"`: all of them, at a first run, between the changes
   * that are made meanwhile; `"onDemand"`: those that {@link backfill} asks for, as `"initial"` does too; `"never"`. Where changes are gone
   * and `acceptHole` is set, `"initial"` reads every table anew, each behind a truncate. The user needs SELECT on them. A table without a
   * key is read as a whole behind a truncate, while the log waits. Default `"never"`.
   */
  readonly snapshot?: SnapshotChoice;
  /** How many tables a snapshot reads side by side, each by a connection of its own; from 1. Default 1. */
  readonly snapshotConnections?: number;
  /** Told how far the reading of tables is, after each piece. */
  readonly progress?: { readonly next: (progress: SnapshotProgress) => void };
  /**
   * Told each time that the slot stands: changes that are committed from now on will be emitted. Told again of changes that
   * the server leaves out, if that was accepted.
   */
  readonly opened?: { readonly next: (slot: OpenedSlot) => void };
  /** Told of each lost connection, and each time that another process has the slot. */
  readonly failed?: { readonly next: (attempt: FailedAttempt) => void };
}

const names = {
  connectionString: true,
  client: true,
  slot: true,
  publication: true,
  tables: true,
  messages: true,
  viaPartitionRoot: true,
  failover: true,
  maxRetries: true,
  acceptHole: true,
  snapshot: true,
  snapshotConnections: true,
  progress: true,
  opened: true,
  failed: true,
} as const;

/**
 * The row changes of a PostgreSQL database, by logical replication: inserts, updates, deletes and
 * truncates of committed transactions, in commit order.
 *
 * - **Positions** the LSN of the transaction's commit and the number of the change in it; strictly
 *   increasing, and the same on every replay, as is the event's `id`.
 * - **Transactions** are marked, so that a sink publishes each in one step.
 * - **Start** with no position and no slot it makes the slot: a first run. Where changes are gone, it fails with
 *   `PositionUnavailable` at every start, unless `acceptHole` is set.
 * - **Acknowledgement** moves the slot's confirmed LSN, which lets the server remove old log. Nothing is confirmed that was
 *   not acknowledged. Places in the log without a change of these tables are told as `passed`, about every 10 s.
 * - **Reconnects** by itself, and goes on after the last event that it emitted.
 * - **Memory** one event, and while `flow` says pause the rest of what was received at once: 64 KiB of log.
 * - **Misuse**, an option that there is not, throws `ConfigurationInvalid` at once.
 * - **Errors** a {@link RxaddError}; what trying again may mend ends it after `maxRetries` only.
 * - **Teardown** closes the connection at once, which frees the slot.
 *
 * @typeParam R - the rows, by whoever knows their columns; it is not checked
 *
 * @example
 * ```ts
 * const source = postgresChanges<Order>({ connectionString: "postgres://localhost/shop", tables: ["public.orders"] });
 * replicate({ source, sink: redisSink({ id, uri, stream }) }).subscribe();
 * ```
 */
export function postgresChanges<R = Row>(options: PostgresOptions): Source<ChangeEvent<R, Lsn>, Lsn> {
  refuseUnknown("postgresChanges", options, names);
  const { connectionString, slot = "rxadd", publication = "rxadd", tables, opened, failed } = options;
  const {
    acceptHole = false,
    failover = false,
    messages,
    viaPartitionRoot,
    snapshot = "never",
    snapshotConnections = 1,
    progress,
  } = options;
  const prefixes = new Set(messages);
  const config = { connectionTimeoutMillis: 10_000, ...options.client, connectionString };
  const passed = new Subject<Lsn>();
  const confirm$ = new Subject<void>();
  const { begin, connected, received, idle, pass, last, confirmed, ...confirming } = confirmations({
    passed,
    isOnlyMark: acceptHole,
    reads: () => reading?.text ?? "",
    unheard: (changes) =>
      process.emitWarning(
        `postgresChanges: found ${changes} changes and no word that any is safe, so PostgreSQL keeps its log for ever: give operators to replicate as through, or to pipeSource, which keep acknowledge, or call it`,
        "RxaddWarning",
      ),
  });
  let reading: (Pick<Snapshot, "text"> & Partial<Pick<Snapshot, "askAnew">>) | undefined;
  let madeAt: string | undefined;
  /** The log that was read last, which holds all that was received. */
  let log: Timelines | undefined;
  /** What was decided before the start is no word on what a sink loses later; where the slot is the only mark, it is on each connection. */
  let accepts = acceptHole;

  function changes(
    from: Lsn | undefined,
    flow: Observable<Flow>,
    reached = from,
  ): Observable<ChangeEvent<Row, Lsn>> {
    return defer(() => {
      checkOptions({ slot, publication, tables, messages, snapshot, snapshotConnections });
      checkPosition(from);
      // Another process may have gone on meanwhile, in another log.
      if (furthest(reached, last()) !== last()) log = undefined;
      begin(from);
      return defer(() => connect(last(), flow, reached)).pipe(
        catchError((error) => throwError(() => postgresErrorOf(error, connectionString))),
        retryBackoff({
          isRetryable,
          ...(options.maxRetries === undefined ? {} : { maxRetries: options.maxRetries }),
          ...(failed && { failed }),
        }),
      );
    });
  }

  /** One connection's worth of changes, strictly after a position. */
  function connect(
    after: Lsn | undefined,
    flow: Observable<Flow>,
    reached: Lsn | undefined,
  ): Observable<ChangeEvent<Row, Lsn>> {
    const wanted = { slot, failover, publication, tables, viaPartitionRoot, snapshot };
    return prepare(config, { ...wanted, after, reached, madeAt, acceptHole: accepts }).pipe(
      switchMap(({ db, confirmedLsn, isNew, hole, senderTimeoutMs, reading: plan }) => {
        if (isNew) madeAt = confirmedLsn;
        if (passed.observed) accepts = false;
        reading = plan && { text: readsText(plan.reads) };
        opened?.next({ slot, confirmedLsn, hole });
        // The sink has a position from the first moment on, and one beyond a hole that was accepted.
        connected(walNumber(confirmedLsn));
        const flowing = new BehaviorSubject<Flow>("resume");
        const goOnWithout = (gone: string, isAccepted: boolean, mending: string) => {
          if (!isAccepted) throw unavailable(`${gone}; ${mending}`);
          opened?.next({ slot, confirmedLsn, hole: gone });
          if (snapshot === "initial") reading?.askAnew?.();
        };
        /** Where a transaction lies that shows by coming again that this log is the one that was read. */
        let awaited: bigint | undefined;
        const came = (place: bigint) => {
          if (awaited === undefined || place < awaited) return;
          const isMissing = place > awaited;
          awaited = undefined;
          if (isMissing && after !== undefined) goOnWithout(missing(after), acceptHole, slotLost);
        };
        return replicationChanges({
          ...{ config, db, slot, publication, prefixes, senderTimeoutMs, confirmed, pass, confirm$ },
          idle: (place) => {
            came(place - 1n);
            idle(place);
          },
          snapshot: plan && {
            ...plan,
            connections: snapshotConnections,
            progress,
            after,
            begun: (snapshot) => {
              reading = snapshot;
            },
          },
          skipped: (notice) => goOnWithout(leftOut(publication, notice), acceptHole, mends),
          timelines: (found) => {
            const gone = log && found && partingOf(furthest(after, reached), sharedUpTo(log, found));
            if (gone !== undefined) goOnWithout(gone, accepts, slotLost);
            log = found;
            if (gone === undefined) awaited = toComeAgain(after, confirmedLsn, found);
          },
          flow: flowing,
        }).pipe(
          filter(({ position }) => {
            if (position === undefined) return true;
            if (awaited !== undefined) came(walNumber(position));
            const isNews = after === undefined || ordLsn.compare(position, after) > 0;
            if (isNews) received(position);
            return isNews;
          }),
          heedFlow(flow, flowing),
        );
      }),
    );
  }

  function acknowledge(position: Lsn): void {
    if (confirming.acknowledge(position)) confirm$.next();
  }

  const source = Object.assign(changes, { acknowledge, passed: passed.asObservable() });
  // What the columns are called only the caller knows.
  return source as Source<ChangeEvent<unknown, Lsn>, Lsn> as Source<ChangeEvent<R, Lsn>, Lsn>;
}

function furthest(one: Lsn | undefined, other: Lsn | undefined): Lsn | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return ordLsn.compare(one, other) > 0 ? one : other;
}

/** PostgreSQL before 18 refuses to go on; from 18 on it leaves the changes out, and says so. */
function leftOut(publication: string, notice: string): string {
  return `publication ${publication}: changes were made while it did not stand, and PostgreSQL leaves them out (${notice})`;
}
