import { isRight } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import type { Cluster, Redis } from "ioredis";
import { defer, EMPTY, expand, map, type Observable } from "rxjs";
import { rxaddError } from "../../errors/rxaddError.ts";
import { script } from "../wire/script.ts";
import { type DurabilityOptions, writeAndWait } from "./durability.ts";
import type { Stored } from "./protocol.ts";

/**
 * Where a sink stands whose lanes are on several servers: one hash, `rxadd:<sink id>`. It says that every event up to
 * `position` is in its lane, if that lane stands where the ledger says or further on. It is written in one step, so
 * an older one that a failover brings back is still true.
 *
 * Fields: `ledger`, which tells it from one that was made anew; `owner`, `epoch`, `sequence` and `position` as in a
 * producer state; for each stream `lane:<stream>`, position and ahead of its lane, in JSON;
 * and `begin:<stream>`, up to where the lane had no event when it was made.
 */

/** Where a lane stands, as its producer state says; empty: nowhere. */
type Stand = Pick<Stored, "position" | "ahead">;

/** Where a ledger stands once it is opened. */
export interface OpenedLedger {
  /** Which ledger it is. */
  readonly name: string;
  readonly epoch: number;
  readonly sequence: number;
  /** Encoded; empty on a first run. */
  readonly position: string;
}

/** What the ledger is to say from now on. */
export interface LedgerPage {
  readonly owner: string;
  readonly epoch: number;
  /** The one before it is stored, or this one already. */
  readonly sequence: number;
  readonly position: string;
  /** Fields and values, alternating, of the lanes that have moved. */
  readonly lanes: readonly string[];
}

/** What was found when a page was to be written. */
export type LedgerReply =
  | { readonly reply: "written" }
  /** Somebody else has opened the ledger since. */
  | { readonly reply: "fenced"; readonly epoch: number }
  /** Redis has lost pages, or that this writer opened the ledger. */
  | { readonly reply: "lost"; readonly position: string };

/** What a ledger says of a lane, and whose it is. */
export interface LedgerLine extends Stand {
  readonly ledger: Pick<LedgerPage, "owner" | "epoch" | "sequence">;
  /** Encoded; empty: not known. */
  readonly begin: string;
}

/** What stands of a lane. */
export interface LaneTrace extends Stand {
  /** Empty: nobody has opened it. */
  readonly owner: string;
}

/** Port to the hash in Redis. Each step yields, or fails with an RxaddError; all may be repeated. */
export interface LedgerStore {
  /** Raises the epoch for `owner`; `name` is for a ledger that has none yet. */
  readonly open: (owner: string, name: string) => Observable<OpenedLedger>;
  readonly write: (page: LedgerPage) => Observable<LedgerReply>;
  /** The streams of all lanes that it knows, some at a time, and where they stood. */
  readonly stands: () => Observable<readonly (readonly [stream: string, stand: Stand])[]>;
  readonly line: (stream: string) => Observable<LedgerLine>;
  /** The producer state of a lane. */
  readonly trace: (stateKey: string) => Observable<LaneTrace>;
}

const Line = t.tuple([t.string, t.string]);

const lanePrefix = "lane:";
const beginPrefix = "begin:";

/** A line as {@link LedgerPage} has it. */
export function laneFields(stream: string, { position, ahead }: Stand): readonly string[] {
  return [`${lanePrefix}${stream}`, JSON.stringify([position, ahead])];
}

/** Likewise up to where a lane had no event. */
export function beginFields(stream: string, begin: string): readonly string[] {
  return [`${beginPrefix}${stream}`, begin];
}

/** KEYS: the ledger. ARGV: owner, a name. Returns name, epoch, sequence, position. */
const openScript = `
local call, key = redis.call, KEYS[1]
local found = call('HMGET', key, 'ledger', 'owner', 'epoch', 'sequence', 'position')
local epoch = tonumber(found[3]) or 0
if found[2] ~= ARGV[1] then
  epoch = epoch + 1
  call('HSET', key, 'owner', ARGV[1], 'epoch', epoch, 'ledger', found[1] or ARGV[2],
    'sequence', found[4] or 0, 'position', found[5] or '')
end
return {found[1] or ARGV[2], epoch, tonumber(found[4]) or 0, found[5] or ''}`;

/** KEYS: the ledger. ARGV: owner, epoch, sequence, position, fields and values. Returns a finding and its data. */
const writeScript = `
local call, key = redis.call, KEYS[1]
local found = call('HMGET', key, 'owner', 'epoch', 'sequence', 'position')
local epoch, sequence = tonumber(found[2]) or 0, tonumber(found[3]) or 0
if found[1] ~= ARGV[1] then
  if epoch >= tonumber(ARGV[2]) then return {'fenced', epoch} end
  return {'lost', found[4] or ''}
end
if sequence >= tonumber(ARGV[3]) then
  -- Once more, for WAIT: the connection that wrote it may be gone.
  call('HSET', key, 'sequence', sequence)
  return {'written'}
end
if sequence < tonumber(ARGV[3]) - 1 then return {'lost', found[4] or ''} end
for i = 5, #ARGV, 1000 do call('HSET', key, unpack(ARGV, i, math.min(i + 999, #ARGV))) end
call('HSET', key, 'sequence', ARGV[3], 'position', ARGV[4])
return {'written'}`;

/** KEYS: a hash. ARGV: a command and what follows the key. In a script it is asked of a master, also where reads are not. */
const readScript = "return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))";

/** So many fields are looked at a time. */
const perScan = "1000";

/** A ledger on a server; with `durability` a page is written when as many replicas have it. */
export function ledgerStore(
  key: string,
  client: Redis | Cluster,
  durable?: { readonly client: Redis | Cluster; readonly durability: DurabilityOptions },
): LedgerStore {
  const open = script(client, openScript);
  const write = script(client, writeScript);
  const read = script(client, readScript);

  const hmget = (hash: string, ...fields: readonly string[]) =>
    defer(() => read([hash], ["HMGET", ...fields])).pipe(map(textsOf));
  const scan = (cursor: string) =>
    defer(() => read([key], ["HSCAN", cursor, "COUNT", perScan])).pipe(
      map((reply) => {
        const [next, fields] = Array.isArray(reply) ? reply : [];
        return { next: String(next), fields: textsOf(fields) };
      }),
    );

  return {
    open: (owner, name) =>
      defer(() => open([key], [owner, name])).pipe(
        map((reply) => {
          const [found = name, epoch, sequence, position = ""] = textsOf(reply);
          return { name: found, epoch: Number(epoch), sequence: Number(sequence), position };
        }),
      ),
    write: (page) => {
      const args = argsOf(page);
      return defer(() =>
        durable === undefined
          ? write([key], args)
          : writeDurably(durable.client, durable.durability, key, args),
      ).pipe(map(replyOf));
    },
    stands: () =>
      scan("0").pipe(
        expand(({ next }) => (next === "0" ? EMPTY : scan(next)), 1),
        map(({ fields }) => linesIn(fields)),
      ),
    line: (stream) =>
      hmget(key, "owner", "epoch", "sequence", `${lanePrefix}${stream}`, `${beginPrefix}${stream}`).pipe(
        map(([owner = "", epoch = "0", sequence = "0", line = "", begin = ""]) => ({
          ...lineOf(line),
          begin,
          ledger: { owner, epoch: Number(epoch), sequence: Number(sequence) },
        })),
      ),
    trace: (stateKey) =>
      hmget(stateKey, "owner", "position", "ahead").pipe(
        map(([owner = "", position = "", ahead = ""]) => ({ owner, position, ahead })),
      ),
  };
}

function argsOf({ owner, epoch, sequence, position, lanes }: LedgerPage): readonly string[] {
  return [owner, `${epoch}`, `${sequence}`, position, ...lanes];
}

async function writeDurably(
  client: Redis | Cluster,
  durability: DurabilityOptions,
  key: string,
  args: readonly string[],
): Promise<unknown> {
  const { replicas, timeoutMs } = durability;
  const writing = client.pipeline().eval(writeScript, 1, key, ...args);
  const { replies, isOnDisk, having } = await writeAndWait(client, key, writing, durability);
  if (isOnDisk && having >= replicas) return replies[0];
  throw rxaddError(
    "NotEnoughReplicas",
    `${key}: found fewer replicas with the newest position after ${timeoutMs} ms than the ${replicas} expected; the checkpoint waits for them`,
  );
}

function replyOf(reply: unknown): LedgerReply {
  const [finding, data = ""] = textsOf(reply);
  switch (finding) {
    case "written":
      return { reply: "written" };
    case "fenced":
      return { reply: "fenced", epoch: Number(data) };
    default:
      return { reply: "lost", position: data };
  }
}

/** The elements of an answer as texts; undefined where there was none. */
function textsOf(reply: unknown): readonly (string | undefined)[] {
  return Array.isArray(reply) ? reply.map((value) => (value === null ? undefined : String(value))) : [];
}

/** Reads a line; what is none says nothing. */
function lineOf(text: string): Stand {
  const line = Line.decode(text === "" ? [] : JSON.parse(text));
  const [position, ahead] = isRight(line) ? line.right : ["", ""];
  return { position, ahead };
}

/** What HSCAN has found: names and values of fields, alternating. */
function linesIn(
  fields: readonly (string | undefined)[],
): readonly (readonly [stream: string, stand: Stand])[] {
  return fields.flatMap((name = "", index) =>
    index % 2 === 0 && name.startsWith(lanePrefix)
      ? [[name.slice(lanePrefix.length), lineOf(fields[index + 1] ?? "")] as const]
      : [],
  );
}
