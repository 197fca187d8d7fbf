import type { Cluster, Redis } from "ioredis";
import type { RxaddError } from "../../errors/rxaddError.ts";
import { isCluster, mastersOf } from "../connect/topology.ts";
import type { TrimOptions } from "../publish/trimming.ts";
import { redisErrorOf } from "../wire/redisError.ts";
import { script } from "../wire/script.ts";

/** What a sink does with its keys. */
export interface LaneUse {
  readonly publish: "script" | "multi";
  readonly durability: { readonly aof: boolean } | undefined;
  readonly trim: TrimOptions | undefined;
}

/** The keys of a lane that are known beforehand. */
export interface KnownKeys {
  readonly state: string;
  readonly mark: string | undefined;
  readonly streams: readonly string[];
  readonly deadLetters: string | undefined;
  /** Its streams depend on the events. */
  readonly isComputed: boolean;
  /** Its state is the ledger of other lanes; default false. */
  readonly isLedger?: boolean;
}

/** Whether a sink could write. */
export interface Rights {
  /** Commands that the user may not use, with their keys; undefined: this cannot be found out. */
  readonly denied: readonly string[] | undefined;
  /** Why the server takes no writes now; undefined: it does, or does not tell. */
  readonly refusal: RxaddError | undefined;
}

/** A command as it is sent, and as it is told. */
interface Needed {
  readonly label: string;
  readonly words: readonly [string, ...string[]];
}

function onKey(command: string, key: string, ...rest: readonly string[]): Needed {
  const words = command === "XINFO" ? ["GROUPS", key] : [key];
  return { label: `${command} ${key}`, words: [command, ...words, ...rest] };
}

function alone(command: string, ...rest: readonly string[]): Needed {
  return { label: command, words: [command, ...rest] };
}

/** All that a sink sends to its keys, whether by a script or in a transaction. */
function neededBy(keys: KnownKeys, { publish, durability, trim }: LaneUse): readonly Needed[] {
  const { state, mark, streams, deadLetters } = keys;
  return [
    ...(publish === "script" ? calls : []),
    onKey("HMGET", state, "epoch"),
    onKey("HSET", state, "epoch", "1"),
    ...(keys.isLedger ? [onKey("HSCAN", state, "0")] : []),
    ...(mark === undefined ? [] : [onKey("HMGET", mark, "epoch"), onKey("HSET", mark, "epoch", "1")]),
    ...streams.flatMap((key) => [
      ...written(key, keys),
      onKey("XLEN", key),
      ...(publish === "multi" ? [onKey("XREVRANGE", key, "+", "-", "COUNT", "1")] : []),
      ...(trim === undefined ? [] : trimmed(key, trim)),
    ]),
    ...(deadLetters === undefined ? [] : written(deadLetters, keys)),
    ...(trim?.maxAgeMs === undefined ? [] : [alone("TIME")]),
    ...(durability === undefined ? [] : [waited(durability.aof)]),
  ];
}

/** How a script is called. */
const calls = [alone("EVAL", "return 1", "0"), alone("EVALSHA", "0".repeat(40), "0")];

/** Of several streams, what stands in one is taken back where another one refuses. */
function written(key: string, { isComputed, deadLetters }: KnownKeys): readonly Needed[] {
  const takesBack = isComputed && key !== deadLetters;
  return [
    onKey("TYPE", key),
    onKey("XADD", key, "*", "event", ""),
    ...(takesBack ? [onKey("XDEL", key, "0-1")] : []),
  ];
}

function trimmed(key: string, { acknowledged }: TrimOptions): readonly Needed[] {
  const byGroups = [onKey("XINFO", key), onKey("XRANGE", key, "-", "+"), onKey("XPENDING", key, "group")];
  return [onKey("XTRIM", key, "MAXLEN", "~", "9007199254740991"), ...(acknowledged ? byGroups : [])];
}

function waited(aof: boolean): Needed {
  return aof ? alone("WAITAOF", "1", "0", "1") : alone("WAIT", "0", "1");
}

/** What `publish: "multi"` does around its transaction. EXEC by itself only tells whether it is allowed. */
function aroundTransaction(state: string): readonly Needed[] {
  return [onKey("WATCH", state), alone("UNWATCH"), alone("EXEC")];
}

const multi = alone("MULTI");

/** Asks which commands the user may use: 1 or 0 for each. ARGV: the commands, as JSON. */
const rightsScript = `
if not redis.acl_check_cmd then return false end
local answers = {}
for i, words in ipairs(cjson.decode(ARGV[1])) do
  -- A command that the server does not have shows when it is tried.
  local isKnown, isAllowed = pcall(redis.acl_check_cmd, unpack(words))
  answers[i] = (not isKnown or isAllowed) and 1 or 0
end
return answers`;

/**
 * Finds out whether a user may publish to a lane, and whether the server would take it, without writing: from Redis 7
 * on a script can ask; and a transaction that is never executed is checked command by command.
 *
 * It leaves `client` in that transaction, unless it is a Cluster: close it afterwards.
 */
export async function rightsOn(
  client: Redis | Cluster,
  where: string,
  keys: KnownKeys,
  use: LaneUse,
): Promise<Rights> {
  const needed = neededBy(keys, use);
  if (use.publish === "multi" && !isCluster(client)) {
    const around = await denialsOf(client, where, [...aroundTransaction(keys.state), multi]);
    if (around.denied.length > 0) return around;
    return denialsOf(client, where, needed);
  }

  const masters = mastersOf(client);
  const answers = await Promise.all(masters.map((master) => ask(master, where, [...needed, multi])));
  const asked = union(answers);
  const denied = asked?.filter((label) => label !== multi.label);
  if (isCluster(client)) return { denied, refusal: await slotsRefusal(client, where, keys) };
  if (asked !== undefined && asked.length > 0) return { denied, refusal: undefined };
  const opened = await denialsOf(client, where, [multi]);
  return opened.denied.length > 0 ? { denied, refusal: undefined } : denialsOf(client, where, needed);
}

function union(all: readonly (readonly string[] | undefined)[]): readonly string[] | undefined {
  const known = all.filter((labels) => labels !== undefined);
  return known.length === 0 ? undefined : [...new Set(known.flat())];
}

/** The labels of what is denied; undefined: the server cannot tell. */
async function ask(
  client: Redis,
  where: string,
  commands: readonly Needed[],
): Promise<readonly string[] | undefined> {
  try {
    const args = [JSON.stringify(commands.map(({ words }) => words))];
    const answers = await script(client, rightsScript)([], args);
    if (!Array.isArray(answers)) return undefined;
    return commands.filter((_command, index) => answers[index] === 0).map(({ label }) => label);
  } catch (error) {
    const cause = redisErrorOf(error, where);
    if (cause._tag === "PermissionDenied") return ["EVAL or EVALSHA"];
    throw cause;
  }
}

/** Why an answer is none; undefined: it is one. */
function refusalOf(answer: Promise<unknown>, where: string): Promise<RxaddError | undefined> {
  return answer.then(
    () => undefined,
    (cause: unknown) => redisErrorOf(cause, where),
  );
}

/** In a Cluster the keys of a lane have to stand in one slot. */
async function slotsRefusal(
  client: Cluster,
  where: string,
  { state, streams, deadLetters }: KnownKeys,
): Promise<RxaddError | undefined> {
  const keys = [state, ...streams, ...(deadLetters === undefined ? [] : [deadLetters])];
  const error = await refusalOf(script(client, "return 1")(keys, []), where);
  return error?._tag === "PermissionDenied" ? undefined : error;
}

/** Sends commands one by one; what stands in the way of all writes ends that. */
async function denialsOf(
  client: Redis,
  where: string,
  commands: readonly Needed[],
): Promise<{ readonly denied: readonly string[]; readonly refusal: RxaddError | undefined }> {
  const denied: string[] = [];
  for (const { label, words } of commands) {
    const [command, ...args] = words;
    const error = await refusalOf(client.call(command, ...args), where);
    if (error?._tag === "PermissionDenied") denied.push(label);
    else if (error !== undefined && command !== "EXEC") return { denied, refusal: error };
  }
  return { denied, refusal: undefined };
}

/** What `asking` yields; undefined if the user has no right to ask. */
export async function ifAllowed<A>(where: string, asking: () => Promise<A>): Promise<A | undefined> {
  try {
    return await asking();
  } catch (error) {
    const cause = redisErrorOf(error, where);
    if (cause._tag === "PermissionDenied") return undefined;
    throw cause;
  }
}
