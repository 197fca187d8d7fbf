import {
  catchError,
  concat,
  concatMap,
  EMPTY,
  from,
  ignoreElements,
  map,
  merge,
  type Observable,
  of,
  startWith,
  throwError,
  type Unsubscribable,
} from "rxjs";
import { isSinkError } from "../sinkError.ts";
import type { Server } from "./anotherClient.ts";
import type { ClientOptions } from "./client.ts";
import { isCluster } from "./connect/topology.ts";
import { settleScript } from "./consumerScripts.ts";
import { entriesOf, type RawEntry, streamsRead } from "./entryReplies.ts";
import { nameOf, openLink, openWaitingLink } from "./openLink.ts";
import { keyBeside } from "./publisher.ts";
import { script } from "./script.ts";
import { argsOf, isPlain, keysOf, type Outcome, outcomesOf, type Settlement } from "./settlement.ts";

/** Who reads. */
export interface Membership {
  readonly group: string;
  readonly consumer: string;
}

/** Who has had a pending entry, and how often. */
export interface Pending {
  readonly entryId: string;
  readonly deliveries: number;
}

/** Stale deliveries that were claimed, and where to go on looking. */
export interface Claim {
  readonly entries: readonly RawEntry[];
  readonly next: string;
}

/** Reads one group's entries and settles them. All fail with SinkErrors. */
export interface GroupConnection extends Unsubscribable {
  /** Makes the group, and the stream, if they are not there; emits whether they were. */
  readonly create: (stream: string, start: string) => Observable<boolean>;
  /** New entries, up to `count`, waiting for the first for `blockMs`. */
  readonly readNew: (
    streams: readonly string[],
    count: number,
    blockMs: number,
  ) => Observable<readonly RawEntry[]>;
  /** What was delivered to this consumer before and is pending, after an entry ID. */
  readonly readOwn: (stream: string, after: string, count: number) => Observable<readonly RawEntry[]>;
  /** How often each of these was delivered; those that are not this consumer's are left out. */
  readonly pending: (stream: string, entries: readonly RawEntry[]) => Observable<readonly Pending[]>;
  /** Takes over what others have had for `idleMs` without acknowledging it. */
  readonly claim: (stream: string, idleMs: number, from: string, count: number) => Observable<Claim>;
  /** Settles deliveries of one stream in their order, in one atomic step; `keep`: how many marks are kept. */
  readonly settle: (
    stream: string,
    settlements: readonly Settlement[],
    keep: number,
  ) => Observable<readonly Outcome[]>;
  /** Which of these marks are remembered. */
  readonly processed: (stream: string, marks: readonly string[]) => Observable<readonly boolean[]>;
  /** Ends a read that waits for entries; those that it has got already come all the same. */
  readonly interrupt: () => void;
  /** Emits each time that Redis takes commands again. */
  readonly ready$: Observable<unknown>;
  /** Errors when trying again cannot help. Never emits. */
  readonly failure$: Observable<never>;
  readonly close$: Observable<never>;
}

/** Whether an error is this answer of Redis. */
export function isAnswer(error: unknown, code: string): boolean {
  return isSinkError(error) && error.cause instanceof Error && error.cause.message.startsWith(code);
}

export interface GroupConnectionOptions extends Omit<ClientOptions, "uri"> {
  readonly server: Server;
  readonly membership: Membership;
  /** How long a read waits for entries, in ms. */
  readonly blockMs: number;
}

/** Opens one connection that waits for entries, and one for all the rest, which is the caller's if there is one. */
export function openGroupConnection(options: GroupConnectionOptions): GroupConnection {
  const { server, blockMs } = options;
  const { group, consumer } = options.membership;
  const reading = openWaitingLink(server, options, blockMs);
  const settling = openLink(server, options);
  const links = [reading, settling];
  const settle = script(settling.client, settleScript);

  const readClient = reading.client;
  const client = settling.client;
  const marksOf = (stream: string) => keyBeside(stream, `${group}:processed`);
  let clientId: number | undefined;
  // Whom to interrupt; another one after each reconnect. A Cluster's reads end by themselves.
  const watching = isCluster(readClient)
    ? undefined
    : reading.ready$
        .pipe(
          startWith(undefined),
          concatMap(() =>
            readClient.status === "ready"
              ? from(readClient.client("ID")).pipe(catchError(() => EMPTY))
              : EMPTY,
          ),
        )
        .subscribe((id) => {
          clientId = Number(id);
        });

  return {
    create: (stream, start) =>
      settling
        .call(() => from(client.xgroup("CREATE", stream, group, start, "MKSTREAM")))
        .pipe(
          map(() => false),
          catchError((error) => (isAnswer(error, "BUSYGROUP") ? of(true) : throwError(() => error))),
        ),

    readNew: (streams, count, blockMs) =>
      reading
        .call(() =>
          from(
            readClient.call("XREADGROUP", [
              ...["GROUP", group, consumer, "COUNT", count, "BLOCK", blockMs],
              ...["STREAMS", ...streams, ...streams.map(() => ">")],
            ]),
          ),
        )
        .pipe(map(streamsRead)),

    readOwn: (stream, after, count) =>
      reading
        .call(() =>
          from(readClient.xreadgroup("GROUP", group, consumer, "COUNT", count, "STREAMS", stream, after)),
        )
        .pipe(map(streamsRead)),

    pending: (stream, entries) => {
      const [first, last] = [entries[0]?.entryId, entries.at(-1)?.entryId];
      if (first === undefined || last === undefined) return of([]);
      // Others of this consumer's may stand between them.
      return settling
        .call(() => from(client.xpending(stream, group, first, last, 100_000, consumer)))
        .pipe(map((reply) => pendingOf(reply)));
    },

    claim: (stream, idleMs, from_, count) =>
      settling
        .call(() => from(client.xautoclaim(stream, group, consumer, idleMs, from_, "COUNT", count)))
        .pipe(map((reply) => ({ entries: entriesOf(stream, reply[1]), next: String(reply[0]) }))),

    settle: (stream, settlements, keep) => {
      if (settlements.every(isPlain)) {
        const entryIds = settlements.map(({ entryId }) => entryId);
        return settling
          .call(() => from(client.call("XACK", [stream, group, ...entryIds])))
          .pipe(map(() => settlements.map(() => "settled" as const)));
      }
      const keys = new Set([stream, marksOf(stream), ...settlements.flatMap(keysOf)]);
      const args = [group, consumer, `${keep}`, ...settlements.flatMap(argsOf)];
      return settling
        .call(() => from(settle([...keys], args)))
        .pipe(map((reply) => outcomesOf(reply, settlements.length, nameOf(server))));
    },

    processed: (stream, marks) =>
      settling
        .call(() => from(client.zmscore(marksOf(stream), ...marks)))
        .pipe(map((scores) => scores.map((score) => score !== null))),

    interrupt: () => {
      if (clientId !== undefined && !isCluster(client)) {
        // Without the right to it, the read ends when its time is over.
        client.client("UNBLOCK", clientId).catch(() => {});
      }
    },
    ready$: merge(...links.map(({ ready$ }) => ready$)),
    failure$: merge(...links.map(({ failure$ }) => failure$)),
    close$: concat(...links.map(({ close$ }) => close$)).pipe(ignoreElements()),
    unsubscribe: () => {
      watching?.unsubscribe();
      for (const { unsubscribe } of links) unsubscribe();
    },
  };
}

function pendingOf(reply: unknown): readonly Pending[] {
  return Array.isArray(reply)
    ? reply.map(([entryId, , , deliveries]) => ({ entryId: String(entryId), deliveries: Number(deliveries) }))
    : [];
}
