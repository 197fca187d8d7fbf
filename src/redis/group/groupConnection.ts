import type { Cluster, Redis } from "ioredis";
import {
  catchError,
  concat,
  EMPTY,
  from,
  ignoreElements,
  map,
  merge,
  type Observable,
  of,
  throwError,
  type Unsubscribable,
} from "rxjs";
import { isRxaddError } from "../../errors/rxaddError.ts";
import type { Server } from "../connect/anotherClient.ts";
import type { ClientOptions } from "../connect/client.ts";
import { nameOf, openLink, openWaitingLink } from "../connect/openLink.ts";
import { keyBeside } from "../publish/publishPort.ts";
import { type Standing, standingOf } from "../read/readConnection.ts";
import {
  entriesOf,
  type Pending,
  pendingRead,
  type RawEntry,
  streamsRead,
  tablesOf,
} from "../wire/replies.ts";
import { script } from "../wire/script.ts";
import { readInterrupter } from "./readInterrupter.ts";
import { argsOf, isFinal, isPlain, keysOf, type Outcome, outcomesOf, type Settlement } from "./settlement.ts";
import { leaveScript, pendingScript, settleScript } from "./settleScript.ts";

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
  readonly group: string;
  /** Who reads. */
  readonly consumer: string;
  /** How long a read waits for entries, in ms. */
  readonly blockMs: number;
}

/** Opens one connection that waits for entries, and one for all the rest, which is the caller's if there is one. */
export function openGroupConnection(options: GroupConnectionOptions): GroupConnection {
  const { server, group, consumer } = options;
  const reading = openWaitingLink(server, options, options.blockMs);
  const settling = openLink(server, options);
  const links = [reading, settling];
  const readClient = reading.client;
  const client = settling.client;
  const pending = script(client, pendingScript, "bytes");
  const leave = script(client, leaveScript);
  const settle = settleBy(client, options);
  const interrupter = readInterrupter(reading, client);
  const { marks, consumers, memory } = keysBeside(options);

  function pendingOf(stream: string, after: string, room: Room, idleMs: string): Observable<Pending> {
    const args = [group, consumer, after, `${room.entries}`, `${room.bytes}`, idleMs];
    return settling
      .call(() => from(pending([stream, consumers(stream)], args)))
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
      settling.call(() => from(client.hset(consumers(stream), consumer, `${Math.ceil(claimIdleMs)}`))),

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

    settle: (...call) => settling.call(() => from(settle(...call))),

    processed: (stream, ids) =>
      settling
        .call(() => from(client.zmscore(marks(stream), ...ids)))
        .pipe(map((scores) => scores.map((score) => score !== null))),

    leave: (stream) =>
      client.status === "ready"
        ? settling.call(() => from(leave([stream, consumers(stream), memory(stream)], [group, consumer])))
        : EMPTY,

    interrupt: interrupter.interrupt,
    ready$: merge(...links.map(({ ready$ }) => ready$)),
    failure$: merge(...links.map(({ failure$ }) => failure$)),
    close$: concat(...links.map(({ close$ }) => close$)).pipe(ignoreElements()),
    unsubscribe: () => {
      interrupter.unsubscribe();
      for (const { unsubscribe } of links) unsubscribe();
    },
  };
}

/** The keys of a group beside its stream. */
function keysBeside({ group, consumer }: Pick<GroupConnectionOptions, "group" | "consumer">) {
  return {
    marks: (stream: string) => keyBeside(stream, `${group}:processed`),
    consumers: (stream: string) => keyBeside(stream, `${group}:consumers`),
    memory: (stream: string) => keyBeside(stream, `${group}:settled:${consumer}`),
  };
}

/** Settles with XACK where that is all, else with the script. */
function settleBy(client: Redis | Cluster, options: GroupConnectionOptions) {
  const { server, group, consumer } = options;
  const { marks, consumers, memory } = keysBeside(options);
  const settle = script(client, settleScript);

  return async (
    stream: string,
    settlements: readonly Settlement[],
    keep: number,
    token: string,
  ): Promise<readonly Outcome[]> => {
    if (settlements.every(isPlain)) {
      const count = await client.call("XACK", [
        ...[stream, group],
        ...settlements.map(({ entryId }) => entryId),
      ]);
      // None was pending: they are acknowledged already, or the group is gone, which XACK does not tell.
      if (count === 0) await client.xpending(stream, group);
      return settlements.map(() => "acknowledged");
    }
    const beside = [marks(stream), memory(stream), consumers(stream)];
    const keys = new Set([stream, ...beside, ...settlements.flatMap(keysOf)]);
    const remembers = settlements.some(isFinal);
    const args = [...[group, consumer, `${keep}`, remembers ? token : ""], ...settlements.flatMap(argsOf)];
    return outcomesOf(await settle([...keys], args), settlements.length, nameOf(server));
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
