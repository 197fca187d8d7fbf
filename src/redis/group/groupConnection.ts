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
import { ordEntryId } from "../../event/entryId.ts";
import type { RedisServer } from "../connect/anotherClient.ts";
import type { ClientOptions } from "../connect/client.ts";
import type { Link } from "../connect/link.ts";
import { nameOf, openLink, openWaitingLink } from "../connect/openLink.ts";
import { type SinkServer, withServer } from "../publish/fakeServer.ts";
import { type Standing, standingOf } from "../read/readConnection.ts";
import {
  entriesOf,
  type Pending,
  pendingRead,
  type RawEntry,
  streamsRead,
  tablesOf,
} from "../wire/entryReplies.ts";
import { type Script, script } from "../wire/script.ts";
import { groupKeys } from "./groupKeys.ts";
import { type ReadInterrupter, readInterrupter } from "./readInterrupter.ts";
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

/** Whether an error is this answer of Redis. */
export function isAnswer(error: unknown, code: string): boolean {
  return isRxaddError(error) && error.cause instanceof Error && error.cause.message.startsWith(code);
}

export interface GroupConnectionOptions extends Omit<ClientOptions, "uri"> {
  readonly server: RedisServer;
  readonly group: string;
  /** Who reads. */
  readonly consumer: string;
  /** How long a read waits for entries, in ms. */
  readonly blockMs: number;
  /** After how long without a sign of life entries are taken from a consumer, and one that holds nothing is taken out, or never. */
  readonly claimIdleMs: number;
  readonly removeIdleMs: number;
}

/** What a consumer asks of Redis. */
export type GroupPort = Pick<GroupConnection, keyof GroupConnection>;

/** Opens the connections of one consumer. */
export function openGroup(
  options: Omit<GroupConnectionOptions, "server"> & { readonly server: SinkServer },
): GroupPort {
  return withServer(
    options.server,
    (server) => new GroupConnection({ ...options, server }),
    ({ group }) => group(options),
  );
}

/**
 * Reads one group's entries and settles them; all fails with RxaddErrors. One connection waits for entries; one, the
 * caller's if there is one, does all the rest.
 */
class GroupConnection implements Unsubscribable {
  /** Emits each time that Redis takes commands again. */
  readonly ready$: Observable<unknown>;
  /** Errors when trying again cannot help. Never emits. */
  readonly failure$: Observable<never>;
  readonly close$: Observable<never>;
  readonly #options: GroupConnectionOptions;
  readonly #reading: Link;
  readonly #settling: Link;
  readonly #interrupter: ReadInterrupter;
  readonly #pendingScript: Script;
  readonly #settleScript: Script;
  readonly #leaveScript: Script;

  constructor(options: GroupConnectionOptions) {
    const reading = openWaitingLink(options.server, options, options.blockMs);
    const settling = openLink(options.server, options);
    const links = [reading, settling];
    this.ready$ = merge(...links.map(({ ready$ }) => ready$));
    this.failure$ = merge(...links.map(({ failure$ }) => failure$));
    this.close$ = concat(...links.map(({ close$ }) => close$)).pipe(ignoreElements());
    this.#options = options;
    this.#reading = reading;
    this.#settling = settling;
    this.#interrupter = readInterrupter(reading, settling.client);
    this.#pendingScript = script(settling.client, pendingScript, "bytes");
    this.#settleScript = script(settling.client, settleScript);
    this.#leaveScript = script(settling.client, leaveScript);
  }

  /** A time in ms, for how long something takes. */
  nowMs(): number {
    return performance.now();
  }

  /** Makes the group, and the stream, if they are not there; emits whether they were. */
  create(stream: string, start: string): Observable<boolean> {
    const { group } = this.#options;
    return this.#call((client) => client.xgroup("CREATE", stream, group, start, "MKSTREAM")).pipe(
      map(() => false),
      catchError((error) => (isAnswer(error, "BUSYGROUP") ? of(true) : throwError(() => error))),
    );
  }

  /** How far the group is; undefined: it is not there. */
  progress(stream: string): Observable<Progress | undefined> {
    // By the connection that reads: its answer is of before what is read next.
    const { client, call } = this.#reading;
    return call(() =>
      from(Promise.all([client.xinfo("STREAM", stream), client.xinfo("GROUPS", stream)])),
    ).pipe(
      map(([standing, groups]) => progressOf(standing, groups, this.#options.group)),
      catchError((error) => (isAnswer(error, "ERR no such key") ? of(undefined) : throwError(() => error))),
    );
  }

  /** Whether the stream still has an entry. */
  has(stream: string, entryId: string): Observable<boolean> {
    return this.#call((client) => client.xrange(stream, entryId, entryId)).pipe(
      map((reply) => entriesOf(stream, reply).length > 0),
    );
  }

  /** New entries, up to `count`, waiting for the first for `blockMs`. */
  readNew(streams: readonly string[], count: number, blockMs: number): Observable<readonly RawEntry[]> {
    const { group, consumer } = this.#options;
    const { client, call } = this.#reading;
    const args = [
      ...["GROUP", group, consumer, "COUNT", count, "BLOCK", blockMs],
      ...["STREAMS", ...streams, ...streams.map(() => ">")],
    ];
    return call(() => from(client.callBuffer("xreadgroup", args))).pipe(map(streamsRead));
  }

  /**
   * What was delivered to this consumer before and is pending, or, of `stale`, what is this one's now as others have given no
   * sign of it; after an entry ID. After none it first says that this consumer lives, and for how long it may be silent.
   */
  readPending(which: "own" | "stale", stream: string, after: string, room: Room): Observable<Pending> {
    const { group, consumer, claimIdleMs, removeIdleMs } = this.#options;
    const { consumers } = groupKeys(stream, group);
    const removeIdle = removeIdleMs === Number.POSITIVE_INFINITY ? "" : `${removeIdleMs}`;
    const args = [
      ...[group, consumer, after, `${room.entries}`, `${room.bytes}`, `${claimIdleMs}`, removeIdle, which],
    ];
    return this.#call(() => this.#pendingScript([stream, consumers], args)).pipe(
      map((reply) => pendingRead(stream, reply)),
    );
  }

  /**
   * Settles deliveries of one stream in their order, in one atomic step; `keep`: how many marks are kept. Sent again
   * with the same token it answers as it did the first time.
   */
  settle(
    stream: string,
    settlements: readonly Settlement[],
    keep: number,
    token: string,
  ): Observable<readonly Outcome[]> {
    if (settlements.every(isPlain)) return this.#acknowledge(stream, settlements);
    const { server, group, consumer } = this.#options;
    const { marks, memoryOf, consumers } = groupKeys(stream, group);
    const keys = new Set([stream, marks, memoryOf(consumer), consumers, ...settlements.flatMap(keysOf)]);
    const remembers = settlements.some(isFinal);
    const args = [...[group, consumer, `${keep}`, remembers ? token : ""], ...argsOf(settlements)];
    return this.#call(() => this.#settleScript([...keys], args)).pipe(
      map((reply) => outcomesOf(reply, settlements.length, nameOf(server))),
    );
  }

  /** Which of these marks are remembered. */
  processed(stream: string, ids: readonly string[]): Observable<readonly boolean[]> {
    const { marks } = groupKeys(stream, this.#options.group);
    return this.#call((client) => client.zmscore(marks, ...ids)).pipe(
      map((scores) => scores.map((score) => score !== null)),
    );
  }

  /** Below which ID no entry is in the stream, or pending. */
  horizon(stream: string): Observable<string> {
    const { group } = this.#options;
    return this.#call((client) =>
      Promise.all([client.xinfo("STREAM", stream), client.xpending(stream, group)]),
    ).pipe(
      map(([reply, [, lowest]]) => {
        const { firstEntryId, lastEntryId } = standingOf(reply);
        const first = firstEntryId ?? lastEntryId;
        return typeof lowest === "string" && ordEntryId.compare(lowest, first) < 0 ? lowest : first;
      }),
    );
  }

  /** Takes this consumer out of the group if nothing is pending for it; at once nothing if Redis cannot be reached. */
  leave(stream: string): Observable<unknown> {
    if (this.#settling.client.status !== "ready") return EMPTY;
    const { group, consumer } = this.#options;
    const { consumers, memoryOf } = groupKeys(stream, group);
    return this.#call(() => this.#leaveScript([stream, consumers, memoryOf(consumer)], [group, consumer]));
  }

  /** Ends a read that waits for entries; those that it has got already come all the same. */
  interrupt(): void {
    this.#interrupter.interrupt();
  }

  unsubscribe(): void {
    this.#interrupter.unsubscribe();
    this.#reading.unsubscribe();
    this.#settling.unsubscribe();
  }

  #call<A>(command: (client: Redis | Cluster) => Promise<A>): Observable<A> {
    const { client, call } = this.#settling;
    return call(() => from(command(client)));
  }

  #acknowledge(stream: string, settlements: readonly Settlement[]): Observable<readonly Outcome[]> {
    const { group } = this.#options;
    const entryIds = settlements.map(({ entryId }) => entryId);
    return this.#call(async (client) => {
      const count = await client.call("xack", [stream, group, ...entryIds]);
      // None was pending: they are acknowledged already, or the group is gone, which XACK does not tell.
      if (count === 0) await client.xpending(stream, group);
      return settlements.map(() => "acknowledged");
    });
  }
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
