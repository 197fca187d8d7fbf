import { rxaddError } from "../../errors/rxaddError.ts";

/** What stays of a stream that is trimmed, by each of the measures. */
interface Measures {
  /** So many entries. */
  readonly maxLen: number;
  /** Entries from this ID on. */
  readonly minId: string;
  /** Entries that are younger, in ms. */
  readonly maxAgeMs: number;
  /** What a group has not read or not acknowledged. */
  readonly acknowledged: boolean;
}

/** Just one of several options; one that is there to be switched off may be, beside another one. */
type OneOf<All> = {
  [Name in keyof All]: Pick<All, Name> & {
    readonly [Other in Exclude<keyof All, Name>]?: (All[Other] extends boolean ? false : never) | undefined;
  };
}[keyof All];

/** By which one of four measures a stream is trimmed. */
export type TrimOptions = OneOf<Measures> & {
  /** Removes whole nodes only, which is cheaper. Default true. */
  readonly approximate?: boolean | undefined;
};

/** The same for all streams of a sink, or decided by the stream's key; undefined: nothing is removed of that one. */
export type Trim = TrimOptions | ((stream: string) => TrimOptions | undefined);

/** How one stream is trimmed; never that of the dead letters. */
export function trimOf(
  trim: Trim | undefined,
  stream: string,
  deadLetters: string | undefined,
): TrimOptions | undefined {
  if (stream === deadLetters) return undefined;
  return typeof trim === "function" ? trim(stream) : trim;
}

/** How a stream is trimmed, as a script is told: the measure, `~` or `=`, and the limit, empty where there is none. */
type TrimWords = readonly [measure: keyof typeof measures, how: string, limit: string];

function trimWords({ maxLen, minId, maxAgeMs, approximate }: TrimOptions): TrimWords {
  const how = approximate === false ? "=" : "~";
  if (maxLen !== undefined) return ["MAXLEN", how, `${maxLen}`];
  if (minId !== undefined) return ["MINID", how, minId];
  return maxAgeMs === undefined ? ["GROUPS", how, ""] : ["AGE", how, `${maxAgeMs}`];
}

/** The arguments of XTRIM outside of a script; throws `ConfigurationInvalid` for what takes a look at the clock or at groups first. */
export function trimArgs(trim: TrimOptions): readonly string[] {
  const words = trimWords(trim);
  if (words[0] === "MAXLEN" || words[0] === "MINID") return words;
  throw rxaddError(
    "ConfigurationInvalid",
    "trim: found maxAgeMs or acknowledged with publish: 'multi', expected maxLen or minId: the others need a script",
  );
}

/** What a script is told of how streams are trimmed where that is decided by stream, in their order. */
export function trimsArg(trim: Trim, streams: readonly string[], deadLetters: string | undefined): string {
  const trims = streams.map((stream) => trimOf(trim, stream, deadLetters));
  return JSON.stringify(trims.map((trim) => (trim === undefined ? [] : trimWords(trim))));
}

/** A Lua function that tells whether one entry ID stands before another one. */
export const isBeforeFunction = `
local function isLess(a, b)
  -- Numbers in decimal, which may be beyond what Lua counts exactly.
  if #a ~= #b then return #a < #b end
  return a < b
end
local function isBefore(a, b)
  local aMs, aSequence = string.match(a, '^(%d+)-(%d+)$')
  local bMs, bSequence = string.match(b, '^(%d+)-(%d+)$')
  if aMs ~= bMs then return isLess(aMs, bMs) end
  return isLess(aSequence, bSequence)
end`;

/**
 * A Lua function that tells the oldest entry which some group of a stream has not read or has pending, that
 * group, and how many groups there are.
 */
export const heldAtFunction = `${isBeforeFunction}
local function heldAt(key)
  local first, by
  local function hold(entry, group)
    if entry and (not first or isBefore(entry, first)) then first, by = entry, group end
  end
  local groups = redis.call('XINFO', 'GROUPS', key)
  for _, fields in ipairs(groups) do
    local group = {}
    for i = 1, #fields, 2 do group[fields[i]] = fields[i + 1] end
    local read = group['last-delivered-id']
    if read ~= '18446744073709551615-18446744073709551615' then
      local unread = redis.call('XRANGE', key, '(' .. read, '+', 'COUNT', 1)[1]
      hold(unread and unread[1], group['name'])
    end
    hold(redis.call('XPENDING', key, group['name'])[2], group['name'])
  end
  return first, by, #groups
end`;

/** The part of a publish script that trims: what goes before the first entry is written, and what after the last. */
export interface TrimLua {
  readonly before: string;
  readonly after: string;
}

/** How a measure is taken, in Lua, by `how` and `limit`; it finds out `before` what it needs and whether it may. */
const measures = {
  MAXLEN: { setUp: "", before: "", after: "call('XTRIM', key, 'MAXLEN', how, limit)" },
  MINID: { setUp: "", before: "", after: "call('XTRIM', key, 'MINID', how, limit)" },
  AGE: {
    setUp: `
local now`,
    before: "now = now or call('TIME')",
    after: `local oldest = math.max(0, now[1] * 1000 + math.floor(now[2] / 1000) - limit)
    call('XTRIM', key, 'MINID', how, string.format('%.0f', oldest))`,
  },
  GROUPS: {
    setUp: heldAtFunction,
    before: `local groups = redis.pcall('XINFO', 'GROUPS', key)
    if not groups.err then heldAt(key)
    elseif not string.find(groups.err, 'no such key') then return groups end`,
    // A batch of dead letters, or of events that were filtered out, makes no stream.
    after: `local groups, first, _ = 0
    if call('TYPE', key).ok == 'stream' then first, _, groups = heldAt(key) end
    if first then call('XTRIM', key, 'MINID', how, first)
    elseif groups > 0 then call('XTRIM', key, 'MAXLEN', how, 0) end`,
  },
} as const;

/**
 * Trims each stream of a batch, but for that of the dead letters. Who may not trim finds out before the
 * first entry is there, as for everything that the script does.
 *
 * @param trim - where it is decided by stream, argument `trimsAt` says how: see {@link trimsArg}
 */
export function trimLua(trim: Trim | undefined, trimsAt: number): TrimLua {
  if (trim === undefined) return { before: "", after: "" };
  const isByStream = typeof trim === "function";
  const all = Object.keys(measures) as (keyof typeof measures)[];
  const words = isByStream ? undefined : trimWords(trim);
  const taken = words === undefined ? all : [words[0]];
  const told = words?.map((word) => `'${word}'`).join(", ") ?? "unpack(trims[i - 1])";
  const ofEach = (lua: (name: keyof typeof measures) => string) => `
for i = 2, #KEYS do
  if i ~= dead then
    local key, measure, how, limit = KEYS[i], ${told}
    ${taken.map((name) => `if measure == '${name}' then ${lua(name)} end`).join("\n    ")}
  end
end`;
  const setUp = [
    isByStream ? `\nlocal trims = cjson.decode(ARGV[${trimsAt}])` : "",
    ...taken.map((name) => measures[name].setUp),
  ];
  return {
    before: `${setUp.join("")}${ofEach(
      (name) => `call('XTRIM', key, 'MAXLEN', '~', '9007199254740991')
    ${measures[name].before}`,
    )}`,
    after: ofEach((name) => measures[name].after),
  };
}
