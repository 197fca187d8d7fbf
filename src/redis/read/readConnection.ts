import { from, map, merge, type Observable, type Unsubscribable } from "rxjs";
import type { RedisServer } from "../connect/anotherClient.ts";
import type { ClientOptions } from "../connect/client.ts";
import { openLink, openWaitingLink } from "../connect/openLink.ts";
import { type SinkServer, withServer } from "../publish/fakeServer.ts";
import { entriesOf, pairsOf, type RawEntry, streamsRead } from "../wire/entryReplies.ts";

/** How a stream stands. */
export interface Standing {
  readonly lastEntryId: string;
  /** Undefined: it is empty. */
  readonly firstEntryId: string | undefined;
  readonly length: number;
  /** How many entries it has had; undefined: the server does not count them (before Redis 7). */
  readonly added: number | undefined;
  /** The highest of the entries that were deleted by themselves, not trimmed; `0-0`: none was, or the server cannot tell (before Redis 7). */
  readonly lastDeletedId: string;
}

/** Reads streams without a group. All fail with RxaddErrors. */
export interface ReadConnection extends Unsubscribable {
  /** Entries after the ID of each stream, up to `count` each, waiting for the first for `blockMs`. */
  readonly read: (after: ReadonlyMap<string, string>, count: number) => Observable<readonly RawEntry[]>;
  readonly standing: (stream: string) => Observable<Standing>;
  readonly exists: (stream: string, entryId: string) => Observable<boolean>;
  /** Emits each time that Redis takes commands again. */
  readonly ready$: Observable<unknown>;
  /** Errors when trying again cannot help. Never emits. */
  readonly failure$: Observable<never>;
}

export interface ReadConnectionOptions extends Omit<ClientOptions, "uri"> {
  readonly server: SinkServer;
  /** How long a read waits for entries, in ms. */
  readonly blockMs: number;
}

const empty: Standing = {
  lastEntryId: "0-0",
  firstEntryId: undefined,
  length: 0,
  added: 0,
  lastDeletedId: "0-0",
};

/** Reads what XINFO STREAM gives. */
export function standingOf(reply: unknown): Standing {
  const info = pairsOf(reply);
  const added = info.get("entries-added");
  const first = info.get("first-entry");
  return {
    lastEntryId: String(info.get("last-generated-id")),
    firstEntryId: Array.isArray(first) ? String(first[0]) : undefined,
    length: Number(info.get("length")),
    added: added === undefined ? undefined : Number(added),
    lastDeletedId: String(info.get("max-deleted-entry-id") ?? "0-0"),
  };
}

/** Opens one connection that waits for entries, and one for questions, which is the caller's if there is one. */
export function openReadConnection(options: ReadConnectionOptions): ReadConnection {
  return withServer(
    options.server,
    (server) => openReal(server, options),
    ({ reading }) => reading(options),
  );
}

function openReal(server: RedisServer, options: ReadConnectionOptions): ReadConnection {
  const { blockMs } = options;
  const reading = openWaitingLink(server, options, blockMs);
  const asking = openLink(server, options);
  const links = [reading, asking];
  const readArgs = (after: ReadonlyMap<string, string>, count: number) => [
    ...["COUNT", count, "BLOCK", blockMs],
    ...["STREAMS", ...after.keys(), ...after.values()],
  ];

  return {
    read: (after, count) =>
      reading
        .call(() => from(reading.client.callBuffer("xread", readArgs(after, count))))
        .pipe(map(streamsRead)),

    standing: (stream) =>
      asking
        .call(() =>
          from(
            asking.client
              .exists(stream)
              .then((stands) => stands === 1 && asking.client.xinfo("STREAM", stream)),
          ),
        )
        .pipe(map((reply) => (reply === false ? empty : standingOf(reply)))),

    exists: (stream, entryId) =>
      asking
        .call(() => from(asking.client.xrange(stream, entryId, entryId)))
        .pipe(map((reply) => entriesOf(stream, reply).length > 0)),

    ready$: merge(...links.map(({ ready$ }) => ready$)),
    failure$: merge(...links.map(({ failure$ }) => failure$)),
    unsubscribe: () => {
      for (const { unsubscribe } of links) unsubscribe();
    },
  };
}
