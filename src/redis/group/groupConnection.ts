import {
  catchError,
  concat,
  EMPTY,
  from,
  fromEvent,
  ignoreElements,
  map,
  merge,
  type Observable,
  of,
  startWith,
  switchMap,
  tap,
  throwError,
  type Unsubscribable,
} from "rxjs";
import { isRxaddError } from "../../errors/rxaddError.ts";
import type { Server } from "../connect/anotherClient.ts";
import type { ClientOptions } from "../connect/client.ts";
import { nameOf, openLink, openWaitingLink } from "../connect/openLink.ts";
import { isCluster } from "../connect/topology.ts";
import { keyBeside } from "../publish/publishPort.ts";
import { type Standing, standingOf } from "../read/readConnection.ts";
import {
  entriesOf,
  type Pending,
  pendingRead,
  type RawEntry,
  streamsRead,
  tablesOf,
} from "../wire/entryReplies.ts";
import { script } from "../wire/script.ts";
import { argsOf, isFinal, isPlain, keysOf, type Outcome, outcomesOf, type Settlement } from "./settlement.ts";
import { leaveScript, pendingScript, settleScript } from "./settleScript.ts";

/** Who reads. */
export interface Membership {
  readonly group: string;
  readonly consumer: string;
}

/** How much one read may bring. */
export interface Room {
  readonly entries: number;
  /** One entry may be larger. */
  readonly bytes: number;
}

/** How far a group has read a stream. */
export interface Progress {
  readonly lastDeliveredId: string;
  /** How many entries of the stream the group has had, as Redis counts them; undefined: it cannot tell. */
  readonly entriesRead: number | undefined;
  readonly standing: Standing;
}

/** Reads one group's entries and settles them. All fail with RxaddErrors. */
export interface GroupConnection extends Unsubscribable {
  /** Makes the group, and the stream, if they are not there; emits whether they were. */
  readonly create: (stream: string, start: string) => Observable<boolean>;
  /** Says for how long this consumer may be silent, so that nobody takes from it before. */
  readonly introduce: (stream: string, claimIdleMs: number) => Observable<unknown>;
  /** How far the group is; undefined: it is not there. */
  readonly progress: (stream: string) => Observable<Progress | undefined>;
  /** Whether the stream still has an entry. */
  readonly has: (stream: string, entryId: string) => Observable<boolean>;
  /** New entries, up to `count`, waiting for the first for `blockMs`. */
  readonly readNew: (
    streams: readonly string[],
    count: number,
    blockMs: number,
  ) => Observable<readonly RawEntry[]>;
  /** What was delivered to this consumer before and is pending, after an entry ID. */
  readonly readOwn: (stream: string, after: string, room: Room) => Observable<Pending>;
  /** Takes over what others have given no sign of for `idleMs`. */
  readonly claim: (stream: string, idleMs: number, after: string, room: Room) => Observable<Pending>;
  /**
   * Settles deliveries of one stream in their order, in one atomic step; `keep`: how many marks are kept. Sent again
   * with the same token it answers as it did the first time.
   */
  readonly settle: (
    stream: string,
    settlements: readonly Settlement[],
    keep: number,
    token: string,
  ) => Observable<readonly Outcome[]>;
  /** Which of these marks are remembered. */
  readonly processed: (stream: string, marks: readonly string[]) => Observable<readonly boolean[]>;
  /** Takes this consumer out of the group if nothing is pending for it; at once nothing if Redis cannot be reached. */
  readonly leave: (stream: string) => Observable<unknown>;
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
  return isRxaddError(error) && error.cause instanceof Error && error.cause.message.startsWith(code);
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
  const pending = script(settling.client, pendingScript, "bytes");
  const leave = script(settling.client, leaveScript);

  const readClient = reading.client;
  const client = settling.client;
  const marksOf = (stream: string) => keyBeside(stream, `${group}:processed`);
  const consumersOf = (stream: string) => keyBeside(stream, `${group}:consumers`);
  const memoryOf = (stream: string) => keyBeside(stream, `${group}:settled:${consumer}`);
  // Whom to interrupt; another one after each reconnect, and nobody until it has said its name. A Cluster's reads end
  // by themselves.
  let clientId: number | undefined;
  const watching = isCluster(readClient)
    ? undefined
    : merge(reading.ready$, fromEvent(readClient, "close"))
        .pipe(
          startWith(undefined),
          tap(() => {
            clientId = undefined;
          }),
          switchMap(() =>
            readClient.status === "ready"
              ? from(readClient.client("ID")).pipe(catchError(() => EMPTY))
              : EMPTY,
          ),
        )
        .subscribe((id) => {
          clientId = Number(id);
        });

  function pendingOf(stream: string, after: string, room: Room, idleMs: string): Observable<Pending> {
    const args = [group, consumer, after, `${room.entries}`, `${room.bytes}`, idleMs];
    return settling
      .call(() => from(pending([stream, consumersOf(stream)], args)))
      .pipe(map((reply) => pendingRead(stream, reply)));
  }

  return {
    create: (stream, start) =>
      settling
        .call(() => from(client.xgroup("CREATE", stream, group, start, "MKSTREAM")))
        .pipe(
          map(() => false),
          catchError((error) => (isAnswer(error, "BUSYGROUP") ? of(true) : throwError(() => error))),
        ),

    introduce: (stream, claimIdleMs) =>
      settling.call(() => from(client.hset(consumersOf(stream), consumer, `${Math.ceil(claimIdleMs)}`))),

    // By the connection that reads: its answer is of before what is read next.
    progress: (stream) =>
      reading
        .call(() =>
          from(Promise.all([readClient.xinfo("STREAM", stream), readClient.xinfo("GROUPS", stream)])),
        )
        .pipe(
          map(([standing, groups]) => progressOf(standing, groups, group)),
          catchError((error) =>
            isAnswer(error, "ERR no such key") ? of(undefined) : throwError(() => error),
          ),
        ),

    has: (stream, entryId) =>
      settling
        .call(() => from(client.xrange(stream, entryId, entryId)))
        .pipe(map((reply) => entriesOf(stream, reply).length > 0)),

    readNew: (streams, count, blockMs) =>
      reading
        .call(() =>
          from(
            readClient.callBuffer("XREADGROUP", [
              ...["GROUP", group, consumer, "COUNT", count, "BLOCK", blockMs],
              ...["STREAMS", ...streams, ...streams.map(() => ">")],
            ]),
          ),
        )
        .pipe(map(streamsRead)),

    readOwn: (stream, after, room) => pendingOf(stream, after, room, ""),
    claim: (stream, idleMs, after, room) => pendingOf(stream, after, room, `${Math.round(idleMs)}`),

    settle: (stream, settlements, keep, token) => {
      if (settlements.every(isPlain)) {
        const entryIds = settlements.map(({ entryId }) => entryId);
        return settling
          .call(() =>
            from(
              client
                .call("XACK", [stream, group, ...entryIds])
                // None was pending: they are acknowledged already, or the group is gone, which XACK does not tell.
                .then((count) => (count === 0 ? client.xpending(stream, group) : undefined)),
            ),
          )
          .pipe(map(() => settlements.map(() => "acknowledged" as const)));
      }
      const remembers = settlements.some(isFinal);
      const keys = new Set([
        stream,
        marksOf(stream),
        memoryOf(stream),
        consumersOf(stream),
        ...settlements.flatMap(keysOf),
      ]);
      const args = [...[group, consumer, `${keep}`, remembers ? token : ""], ...settlements.flatMap(argsOf)];
      return settling
        .call(() => from(settle([...keys], args)))
        .pipe(map((reply) => outcomesOf(reply, settlements.length, nameOf(server))));
    },

    processed: (stream, marks) =>
      settling
        .call(() => from(client.zmscore(marksOf(stream), ...marks)))
        .pipe(map((scores) => scores.map((score) => score !== null))),

    leave: (stream) =>
      client.status === "ready"
        ? settling.call(() => from(leave([stream, consumersOf(stream), memoryOf(stream)], [group, consumer])))
        : EMPTY,

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

function progressOf(standing: unknown, groups: unknown, group: string): Progress | undefined {
  const found = tablesOf(groups).find((table) => table.get("name") === group);
  if (found === undefined) return undefined;
  const entriesRead = found.get("entries-read");
  return {
    lastDeliveredId: String(found.get("last-delivered-id")),
    entriesRead: typeof entriesRead === "number" ? entriesRead : undefined,
    standing: standingOf(standing),
  };
}
