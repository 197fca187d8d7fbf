/** By which one of four measures a stream is trimmed; durations are ms. */
export interface TrimOptions {
  readonly maxLen?: number | undefined;
  readonly minId?: string | undefined;
  readonly maxAgeMs?: number | undefined;
  readonly acknowledged?: boolean | undefined;
  /** Removes whole nodes only, which is cheaper. Default true. */
  readonly approximate?: boolean | undefined;
}

/** The arguments of XTRIM where they are known beforehand; undefined: it takes a look at the clock or at groups. */
export function trimArgs({ maxLen, minId, approximate }: TrimOptions): readonly string[] | undefined {
  const how = approximate === false ? "=" : "~";
  if (maxLen !== undefined) return ["MAXLEN", how, `${maxLen}`];
  return minId === undefined ? undefined : ["MINID", how, minId];
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

const nothing: TrimLua = { before: "", after: "" };

/**
 * Trims each stream of a batch, but for that of the dead letters. Who may not trim finds out before the
 * first entry is there, as for everything that the script does.
 */
export function trimLua(trim: TrimOptions | undefined): TrimLua {
  if (trim === undefined) return nothing;
  const how = trim.approximate === false ? "=" : "~";
  const args = trimArgs(trim);
  if (args !== undefined) {
    const words = args.map((word) => `'${word}'`).join(", ");
    return { before: mayTrim, after: ofEach(`call('XTRIM', key, ${words})`) };
  }
  return trim.maxAgeMs === undefined ? byGroups(how) : byAge(trim.maxAgeMs, how);
}

function ofEach(lua: string): string {
  return `
for i = 2, #KEYS do
  if i ~= dead then
    local key = KEYS[i]
    ${lua}
  end
end`;
}

const mayTrim = ofEach("call('XTRIM', key, 'MAXLEN', '~', '9007199254740991')");

function byAge(maxAgeMs: number, how: string): TrimLua {
  return {
    before: `${mayTrim}
local now = call('TIME')
local oldest = string.format('%.0f', math.max(0, now[1] * 1000 + math.floor(now[2] / 1000) - ${maxAgeMs}))`,
    after: ofEach(`call('XTRIM', key, 'MINID', '${how}', oldest)`),
  };
}

function byGroups(how: string): TrimLua {
  return {
    before: `${mayTrim}${heldAtFunction}${ofEach(`local groups = redis.pcall('XINFO', 'GROUPS', key)
    if not groups.err then heldAt(key)
    elseif not string.find(groups.err, 'no such key') then return groups end`)}`,
    // A batch of dead letters, or of events that were filtered out, makes no stream.
    after: ofEach(`local groups, first, _ = 0
    if call('TYPE', key).ok == 'stream' then first, _, groups = heldAt(key) end
    if first then call('XTRIM', key, 'MINID', '${how}', first)
    elseif groups > 0 then call('XTRIM', key, 'MAXLEN', '${how}', 0) end`),
  };
}
