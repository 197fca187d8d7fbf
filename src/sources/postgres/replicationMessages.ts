import type { Socket } from "node:net";
import { type Client, type ClientConfig, escapeIdentifier } from "pg";
import { LogicalReplicationService, type Pgoutput, PgoutputPlugin } from "pg-logical-replication";
import { interval, Observable } from "rxjs";
import type { Flow } from "../../../operators/flow.ts";
import { useExactParsers } from "./columnParsers.ts";
import { postgresError } from "./postgresError.ts";
import { walNumber, walText } from "./walPosition.ts";

export interface ReplicationOptions {
  readonly config: ClientConfig;
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
class PlainPgoutput extends PgoutputPlugin {
  readonly #skipped: (notice: string) => void;

  constructor(publicationNames: string[], skipped: (notice: string) => void) {
    super({ protoVersion: 1, publicationNames });
    this.#skipped = skipped;
  }

  override async start(client: Client, slotName: string, lastLsn: string): Promise<unknown> {
    client.on("notice", ({ code, message = "", detail }) => {
      if (code === publicationSkipped)
        this.#skipped(detail === undefined ? message : `${message}: ${detail}`);
    });
    await client.query(
      "SET client_min_messages = warning; SET datestyle = ISO; SET timezone = 'UTC'; SET intervalstyle = postgres; SET bytea_output = hex; SET extra_float_digits = 1; SET lc_monetary = 'C'",
    );
    return super.start(client, slotName, lastLsn);
  }

  override parse(buffer: Buffer): Pgoutput.Message {
    const message = super.parse(buffer);
    if (message.tag === "relation") useExactParsers(message);
    return message;
  }
}

/** The socket under the service, which has no public way to stop reading. */
function socketOf(service: LogicalReplicationService): Socket | undefined {
  const connection: unknown = Reflect.get(service, "_connection");
  return typeof connection === "object" && connection !== null && "stream" in connection
    ? (connection.stream as Socket)
    : undefined;
}

/**
 * The messages of a replication slot, from where it stands. It never confirms what `confirmed` does
 * not say, stops reading while `flow` says pause, and fails when the server falls silent.
 */
export function replicationMessages(options: ReplicationOptions): Observable<Pgoutput.Message> {
  const { config, slot, publication, flow, senderTimeoutMs, confirmed, idle, pass, skipped, confirm$ } =
    options;
  // The server hears of us in good time also while we are paused.
  const statusMs = senderTimeoutMs === 0 ? 10_000 : Math.min(10_000, senderTimeoutMs / 3);
  const maxSilentTicks = senderTimeoutMs === 0 ? 12 : (2 * senderTimeoutMs) / statusMs;

  return new Observable((subscriber) => {
    // Left to itself the service would confirm whatever it has received.
    const service = new LogicalReplicationService(config, {
      acknowledge: { auto: false, timeoutSeconds: 0 },
    });
    let isPaused = false;
    let silentTicks = 0;
    const fail = (error: unknown) => subscriber.error(error);

    function tell(ping: boolean): void {
      // The service adds one to what it is given.
      const place = confirmed();
      if (place > 0n) service.acknowledge(walText(place - 1n), ping).catch(fail);
    }

    function tick(): void {
      silentTicks = isPaused ? 0 : silentTicks + 1;
      pass();
      if (silentTicks <= maxSilentTicks) tell(true);
      else fail(postgresError("ConnectionLost", "the server has not answered for too long"));
    }

    function skipOrFail(notice: string): void {
      try {
        skipped(notice);
      } catch (error) {
        fail(error);
      }
    }

    service.on("data", (_lsn, message: Pgoutput.Message) => {
      silentTicks = 0;
      subscriber.next(message);
    });
    service.on("heartbeat", (lsn, _time, shouldRespond) => {
      silentTicks = 0;
      idle(walNumber(lsn));
      if (!shouldRespond) return;
      // A server that shuts down asks, and waits until everything is confirmed.
      pass();
      tell(false);
    });
    service.on("error", fail);
    service.on("start", () => {
      subscriber.add(interval(statusMs).subscribe(tick));
      subscriber.add(confirm$.subscribe(() => tell(false)));
      subscriber.add(
        flow.subscribe((signal) => {
          isPaused = signal === "pause";
          if (isPaused) socketOf(service)?.pause();
          else socketOf(service)?.resume();
        }),
      );
    });
    // The plugin writes the name into a list in a literal as it is.
    const publicationNames = [escapeIdentifier(publication).replaceAll("'", "''")];
    service
      .subscribe(new PlainPgoutput(publicationNames, skipOrFail), slot)
      .then(() => fail(postgresError("ConnectionLost", "the server ended the replication")), fail);

    return () => {
      service.removeAllListeners();
      service.on("error", () => {});
      service.destroy().catch(() => {});
    };
  });
}
