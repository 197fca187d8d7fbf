import { Client, type ClientConfig, escapeIdentifier } from "pg";
import { interval, Observable, tap, throttleTime } from "rxjs";
import type { Flow } from "../../../operators/flow.ts";
import type { ChangeEvent, Row } from "../../event/changeEvent.ts";
import type { Lsn } from "../../event/lsn.ts";
import { PgoutputDecoder } from "./pgoutput.ts";
import { postgresError } from "./postgresError.ts";
import { standbyStatus } from "./standbyStatus.ts";
import { takeCopies } from "./takeCopies.ts";

export interface ReplicationOptions {
  readonly config: ClientConfig;
  /** The database's name: with the position it makes an event's id. */
  readonly db: string;
  readonly slot: string;
  readonly publication: string;
  readonly flow: Observable<Flow>;
  /** After how long without a word the server ends a connection, in ms; 0: never. */
  readonly senderTimeoutMs: number;
  /** Up to where the server may forget the log; asked whenever it is told. */
  readonly confirmed: () => bigint;
  /** The server has sent everything before this place. */
  readonly idle: (place: bigint) => void;
  /** Asked now and then, and when the server asks how far we are, to say to whom it may concern how far the log is read. */
  readonly pass: () => void;
  /** Told of changes that the server has left out. */
  readonly skipped: (notice: string) => void;
  /** Emits when `confirmed` may have grown. */
  readonly confirm$: Observable<unknown>;
}

/** Object not in prerequisite state: from PostgreSQL 18 on, a publication that did not stand when a change was made. */
const publicationSkipped = "55000";

/** Values arrive as text: it must not depend on how the database or the user likes to see it. */
const plainText =
  "SET client_min_messages = warning; SET datestyle = ISO; SET timezone = 'UTC'; SET intervalstyle = postgres; SET bytea_output = hex; SET extra_float_digits = 1; SET lc_monetary = 'C'";

/** How often the server is told of what is confirmed, at most. */
const confirmMs = 100;

/** Reads until the server ends it. */
async function replicate(
  client: Client,
  { slot, publication }: ReplicationOptions,
  started: () => void,
): Promise<never> {
  await client.connect();
  await client.query(plainText);
  client.connection.once("replicationStart", started);
  // The server takes the name out of a list in a literal.
  const names = escapeIdentifier(publication).replaceAll("'", "''");
  await client.query(
    `START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '${names}', messages 'false')`,
  );
  throw postgresError("ConnectionLost", "the server ended the replication");
}

/**
 * The changes of a replication slot, from where it stands. It never confirms what `confirmed` does
 * not say, stops reading while `flow` says pause, and fails when the server falls silent.
 */
export function replicationChanges(options: ReplicationOptions): Observable<ChangeEvent<Row, Lsn>> {
  const { config, db, flow, senderTimeoutMs, confirmed, idle, pass, skipped, confirm$ } = options;
  // The server hears of us in good time also while we are paused.
  const statusMs = senderTimeoutMs === 0 ? 10_000 : Math.min(10_000, senderTimeoutMs / 3);
  const maxSilentTicks = senderTimeoutMs === 0 ? 12 : (2 * senderTimeoutMs) / statusMs;
  const replicating = { ...config, replication: "database" };

  return new Observable((subscriber) => {
    const client = new Client(replicating);
    const decoder = new PgoutputDecoder(db, { change: (event) => subscriber.next(event) });
    let isPaused = false;
    let silentTicks = 0;
    /** Whether the server has yet to be told of what is confirmed. */
    let isBehind = false;
    const fail = (error: unknown) => subscriber.error(error);

    function tell(asks: boolean): void {
      const place = confirmed();
      const { stream } = client.connection;
      if (stream.writable) stream.write(standbyStatus(place, asks));
      isBehind = false;
    }

    function tick(): void {
      silentTicks = isPaused ? 0 : silentTicks + 1;
      pass();
      if (silentTicks <= maxSilentTicks) tell(true);
      else fail(postgresError("ConnectionLost", "the server has not answered for too long"));
    }

    function copied(buffer: Buffer, start: number, end: number): void {
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
          if (isPaused) client.connection.stream.pause();
          else client.connection.stream.resume();
        }),
      );
    }

    client.on("error", fail);
    client.on("notice", ({ code, message = "", detail }) => {
      if (code === publicationSkipped) skipped(detail === undefined ? message : `${message}: ${detail}`);
    });
    takeCopies(client, copied, fail);
    replicate(client, options, started).catch(fail);

    return () => {
      if (isBehind) tell(false);
      client.end().catch(() => {});
    };
  });
}
