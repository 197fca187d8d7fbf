import type { Readable } from "node:stream";
import type { ClientConfig } from "pg";
import { LogicalReplicationService, type Pgoutput, PgoutputPlugin } from "pg-logical-replication";
import { Observable } from "rxjs";
import type { Flow } from "../../../operators/flow.ts";
import { walNumber, walText } from "./walPosition.ts";

export interface ReplicationOptions {
  readonly config: ClientConfig;
  readonly slot: string;
  readonly publication: string;
  readonly flow: Observable<Flow>;
  /** Up to where the server may forget the log; asked whenever it is told. */
  readonly confirmed: () => bigint;
  /** The server has sent everything before this place. */
  readonly idle: (place: bigint) => void;
  /** Emits when `confirmed` has grown. */
  readonly confirm$: Observable<unknown>;
}

/** How often the server hears of us, also while paused: its wal_sender_timeout is 60 s by default. */
const statusMs = 10_000;

/** The socket under the service, which has no public way to stop reading. */
function socketOf(service: LogicalReplicationService): Readable | undefined {
  const connection: unknown = Reflect.get(service, "_connection");
  return typeof connection === "object" && connection !== null && "stream" in connection
    ? (connection.stream as Readable)
    : undefined;
}

/**
 * The messages of a replication slot, from where it stands. It never confirms what `confirmed` does
 * not say, and stops reading while `flow` says pause.
 */
export function replicationMessages({
  config,
  slot,
  publication,
  flow,
  confirmed,
  idle,
  confirm$,
}: ReplicationOptions): Observable<Pgoutput.Message> {
  return new Observable((subscriber) => {
    // Left to itself the service would confirm whatever it has received.
    const service = new LogicalReplicationService(config, {
      acknowledge: { auto: false, timeoutSeconds: 0 },
    });
    const fail = (error: unknown) => subscriber.error(error);

    function tell(): void {
      // The service adds one to what it is given.
      const place = confirmed();
      if (place > 0n) service.acknowledge(walText(place - 1n)).catch(fail);
    }

    service.on("data", (_lsn, message: Pgoutput.Message) => subscriber.next(message));
    service.on("heartbeat", (lsn, _time, shouldRespond) => {
      idle(walNumber(lsn));
      if (shouldRespond) tell();
    });
    service.on("error", fail);
    service.on("start", () => {
      const timer = setInterval(tell, statusMs);
      subscriber.add(() => clearInterval(timer));
      subscriber.add(confirm$.subscribe(tell));
      subscriber.add(
        flow.subscribe((signal) => {
          if (signal === "pause") socketOf(service)?.pause();
          else socketOf(service)?.resume();
        }),
      );
    });
    service
      .subscribe(new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] }), slot)
      .then(() => fail(new Error("the server ended the replication")), fail);

    return () => {
      service.removeAllListeners();
      service.on("error", () => {});
      // A paused socket would never see that the server has said goodbye.
      socketOf(service)?.resume();
      service.destroy().catch(() => {});
    };
  });
}
