import { Client, type ClientConfig, escapeIdentifier } from "pg";
import { interval, Observable, tap, throttleTime } from "rxjs";
import type { Flow } from "../../../operators/flow.ts";
import type { ChangeEvent, Row } from "../../event/changeEvent.ts";
import type { Lsn } from "../../event/lsn.ts";
import { Holdable } from "./holdable.ts";
import { PgoutputDecoder } from "./pgoutput.ts";
import { plainText } from "./plainText.ts";
import { postgresError } from "./postgresError.ts";
import { requestIn } from "./snapshot/backfill.ts";
import { Snapshot, type SnapshotOptions } from "./snapshot/snapshot.ts";
import { TableReader } from "./snapshot/tableReader.ts";
import { standbyStatus } from "./standbyStatus.ts";
import { kinds, takeMessages } from "./takeMessages.ts";
import { type Timelines, timelinesOf } from "./timelines.ts";

export interface ReplicationOptions {
  readonly config: ClientConfig;
  /** The database's name: with the position it makes an event's id. */
  readonly db: string;
  readonly slot: string;
  readonly publication: string;
  /** The prefixes of messages that are events. */
  readonly prefixes: ReadonlySet<string>;
  readonly flow: Observable<Flow>;
  /** After how long without a word the server ends a connection, in ms; 0: never. */
  readonly senderTimeoutMs: number;
  /** Up to where the server may forget the log; asked whenever it is told. */
  readonly confirmed: () => bigint;
  /** The server has sent everything before this place. */
  readonly idle: (place: bigint) => void;
  /** Asked now and then, and when the server asks how far we are, to say to whom it may concern how far the log is read. */
  readonly pass: () => void;
  /** What is to be read of the tables beside their changes; undefined: nothing, nor will be. */
  readonly snapshot: SnapshotPlan | undefined;
  /** Told of changes that the server has left out. */
  readonly skipped: (notice: string) => void;
  /** Told which log it is, before any of it is read; undefined: it is not known. */
  readonly timelines: (found: Timelines | undefined) => void;
  /** Emits when `confirmed` may have grown. */
  readonly confirm$: Observable<unknown>;
}

/** Which tables are read, from where, and on whose request. */
export interface SnapshotPlan extends Pick<SnapshotOptions, "reads" | "tables" | "progress"> {
  /** So many tables are read at a time, each by a connection. */
  readonly connections: number;
  /** Requests at or before this place have been heard already. */
  readonly after: Lsn | undefined;
  /** Told whenever it has begun, of who knows how far it is. */
  readonly begun: (snapshot: Snapshot) => void;
}

/** Object not in prerequisite state: from PostgreSQL 18 on, a publication that did not stand when a change was made. */
const publicationSkipped = "55000";

/** How often the server is told of what is confirmed, at most. */
const confirmMs = 100;

/** Reads until the server ends it. */
async function replicate(
  client: Client,
  { slot, publication, prefixes, snapshot, timelines }: ReplicationOptions,
  started: () => void,
): Promise<never> {
  await client.connect();
  await client.query(plainText);
  timelines(await timelinesOf(client));
  client.connection.once("replicationStart", started);
  // The server takes the name out of a list in a literal.
  const names = escapeIdentifier(publication).replaceAll("'", "''");
  await client.query(
    `START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '${names}', messages '${snapshot !== undefined || prefixes.size > 0}')`,
  );
  throw postgresError("ConnectionLost", "the server ended the replication");
}

/**
 * The changes of a replication slot, from where it stands. It never confirms what `confirmed` does
 * not say, stops reading while `flow` says pause, and fails when the server falls silent.
 */
export function replicationChanges(options: ReplicationOptions): Observable<ChangeEvent<Row, Lsn>> {
  const {
    config,
    db,
    slot,
    publication,
    prefixes,
    flow,
    senderTimeoutMs,
    confirmed,
    idle,
    pass,
    skipped,
    confirm$,
  } = options;
  // The server hears of us in good time also while we are paused.
  const statusMs = senderTimeoutMs === 0 ? 10_000 : Math.min(10_000, senderTimeoutMs / 3);
  const maxSilentTicks = senderTimeoutMs === 0 ? 12 : (2 * senderTimeoutMs) / statusMs;
  const replicating = { ...config, replication: "database" };

  return new Observable((subscriber) => {
    const client = new Client(replicating);
    let isPaused = false;
    const fail = (error: unknown) => subscriber.error(error);
    const change = (event: ChangeEvent<Row, Lsn>) => subscriber.next(event);
    const copies = new Holdable(take, fail);
    const snapshot = options.snapshot && begin(options.snapshot);
    const decoder = new PgoutputDecoder(db, {
      change,
      prefixes,
      ...(snapshot && {
        reads: () => snapshot.text,
        changed: (change) => snapshot.changed(change),
        message: (message, transaction) => {
          const request = requestIn(message, slot, transaction, options.snapshot?.after);
          if (request !== undefined) snapshot.ask(request);
          else snapshot.message(message, transaction);
        },
      }),
    });
    let silentTicks = 0;
    /** Whether the server has yet to be told of what is confirmed. */
    let isBehind = false;

    function begin({ reads, tables, connections, progress, begun }: SnapshotPlan): Snapshot {
      const readers = Array.from({ length: connections }, () => new TableReader(config, publication, fail));
      const snapshot = new Snapshot({
        ...{ db, reads, tables, readers, progress, emit: change, failed: fail, isPaused: () => isPaused },
        hold: (isToBeHeld) => {
          copies.hold(isToBeHeld);
          read();
        },
      });
      begun(snapshot);
      return snapshot;
    }

    function read(): void {
      if (isPaused || copies.isHeld) client.connection.stream.pause();
      else client.connection.stream.resume();
    }

    function tell(asks: boolean): void {
      const place = confirmed();
      const { stream } = client.connection;
      if (stream.writable) stream.write(standbyStatus(place, asks));
      isBehind = false;
    }

    function tick(): void {
      silentTicks = isPaused || copies.isHeld ? 0 : silentTicks + 1;
      pass();
      if (silentTicks <= maxSilentTicks) tell(true);
      else fail(postgresError("ConnectionLost", "the server has not answered for too long"));
    }

    function take(buffer: Buffer, start: number, end: number): void {
      if (subscriber.closed) return;
      silentTicks = 0;
      if (buffer[start] === 0x77) decoder.decode(buffer, start + 25, end); // w
      if (buffer[start] !== 0x6b) return; // k
      idle(buffer.readBigUInt64BE(start + 1));
      if (buffer[start + 17] === 0) return;
      // A server that shuts down asks, and waits until everything is confirmed.
      pass();
      tell(false);
    }

    function started(): void {
      subscriber.add(interval(statusMs).subscribe(tick));
      const confirming$ = confirm$.pipe(
        tap(() => {
          isBehind = true;
        }),
        throttleTime(confirmMs, undefined, { leading: true, trailing: true }),
      );
      subscriber.add(confirming$.subscribe(() => tell(false)));
      subscriber.add(
        flow.subscribe((signal) => {
          isPaused = signal === "pause";
          read();
          snapshot?.resume();
        }),
      );
    }

    client.on("error", fail);
    client.on("notice", ({ code, message = "", detail }) => {
      if (code !== publicationSkipped) return;
      skipped(detail === undefined ? message : `${message}: ${detail}`);
    });
    takeMessages(client, {
      takes: (kind) => kind === kinds.copyData,
      take: (_kind, buffer, start, end) => copies.push(buffer, start, end),
      failed: fail,
    });
    replicate(client, options, started).catch(fail);

    return () => {
      snapshot?.close();
      if (isBehind) tell(false);
      client.end().catch(() => {});
    };
  });
}
