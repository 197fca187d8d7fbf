import type { Redis } from "ioredis";
import type { Settlement } from "../../../src/redis/group/settlement.ts";
import type { Argument } from "../../../src/redis/wire/encode.ts";

/** What settling means: each delivery is looked up and settled by itself, before the next one is looked at. */
const scriptOneByOne = `
local call, stream, marks, memory, consumers = redis.call, KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, consumer, keep, token = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local outcomes = {}
if token ~= '' then
  local known = call('GET', memory)
  if known and known:sub(1, #token + 1) == token .. '\\n' then
    for outcome in known:sub(#token + 2):gmatch('[^\\n]+') do outcomes[#outcomes + 1] = outcome end
    return outcomes
  end
end

local now = call('TIME')
local at, marked, isAlive = 5, false, false
local function next() at = at + 1; return ARGV[at - 1] end
-- More than Lua's stack holds are no command.
local function words(...)
  local first = at + 1
  at = first + tonumber(ARGV[at])
  if at - first > 7900 then return {} end
  local command = {...}
  for i = first, at - 1 do command[#command + 1] = ARGV[i] end
  return command
end

local function run(commands)
  for i = 1, #commands do
    if #commands[i] == 0 then return 'ERR a command of more than 7,900 words' end
    local reply = redis.pcall(unpack(commands[i]))
    if type(reply) == 'table' and reply.err then return reply.err end
  end
end

-- Why it is not this consumer's; nil: it is.
local function loss(id)
  local found = call('XPENDING', stream, group, id, id, 1)[1]
  if not found then return 'gone' end
  if found[2] ~= consumer then return "another's" end
end

local function claim(id, ...)
  local lost = loss(id)
  if lost then return lost end
  if #call('XRANGE', stream, id, id) > 0 then
    call('XCLAIM', stream, group, consumer, 0, id, ...)
  elseif not isAlive then
    local patience = (call('HGET', consumers, consumer) or '0'):match('%d+')
    call('HSET', consumers, consumer, patience .. ' ' .. now[1] * 1000 + math.floor(now[2] / 1000))
    isAlive = true
  end
  return 'kept'
end

local function removed(id)
  for _, about in ipairs(call('XINFO', 'GROUPS', stream)) do
    local name, read = about[2], about[8]
    local unread = call('XRANGE', stream, '(' .. read, '+')
    for i = 1, #unread do if unread[i][1] == id then return end end
    if #call('XPENDING', stream, name, id, id, 1) > 0 then return end
  end
  call('XDEL', stream, id)
end

local settle = {
  acknowledge = function(id)
    local removes, mark, commands = next(), next(), {}
    for i = 1, tonumber(next()) do commands[i] = words() end
    -- Without anything to write, what another consumer has acknowledged meanwhile is acknowledged.
    local writes = mark ~= '' or #commands > 0
    if loss(id) == 'gone' and writes then return 'gone' end
    if mark == '' or not call('ZSCORE', marks, mark) then
      local refused = run(commands)
      if refused then return refused end
      if mark ~= '' then call('ZADD', marks, now[1] * 1000000 + now[2], mark); marked = true end
    end
    call('XACK', stream, group, id)
    if removes == '1' then removed(id) end
    return 'acknowledged'
  end,
  keepAlive = function(id) return claim(id, 'JUSTID') end,
  start = function(id) return claim(id, 'RETRYCOUNT', next(), 'JUSTID') end,
  handBack = function(id) return claim(id, 'IDLE', next(), 'RETRYCOUNT', next(), 'JUSTID') end,
  deadLetter = function(id)
    local removes, key = next(), next()
    local letter = words('XADD', key, '*')
    local lost = loss(id)
    if lost then return lost end
    local refused = run({letter})
    if refused then return refused end
    call('XACK', stream, group, id)
    if removes == '1' then removed(id) end
    return 'acknowledged'
  end,
}

while at <= #ARGV do
  local kind = next()
  outcomes[#outcomes + 1] = settle[kind](next())
end
if marked then call('ZREMRANGEBYRANK', marks, 0, -keep - 1) end
if token ~= '' then call('SET', memory, token .. '\\n' .. table.concat(outcomes, '\\n'), 'EX', 86400) end
return outcomes`;

function counted(words: readonly Argument[]): readonly Argument[] {
  return [`${words.length}`, ...words];
}

function argsOf(settlement: Settlement): readonly Argument[] {
  const { kind, entryId } = settlement;
  switch (settlement.kind) {
    case "acknowledge": {
      const { mark, effects } = settlement;
      const commands = effects.map((effect) =>
        counted(effect.map((word) => (typeof word === "string" || Buffer.isBuffer(word) ? word : `${word}`))),
      );
      return [kind, entryId, settlement.removes ? "1" : "", mark, `${commands.length}`, ...commands.flat()];
    }
    case "keepAlive":
      return [kind, entryId];
    case "start":
      return [kind, entryId, `${settlement.deliveries}`];
    case "handBack":
      return [kind, entryId, `${Math.round(settlement.idleMs)}`, `${settlement.deliveries}`];
    case "deadLetter":
      return [
        kind,
        entryId,
        settlement.removes ? "1" : "",
        settlement.deadLetters,
        ...counted(settlement.fields),
      ];
  }
}

/** Settles them so; emits a line for each. `start`: group, consumer, how many marks are kept, token. */
export async function settledOneByOne(
  client: Redis,
  keys: readonly string[],
  start: readonly string[],
  settlements: readonly Settlement[],
): Promise<string> {
  const args = [...start, ...settlements.flatMap(argsOf)] as string[];
  const outcomes = await client.eval(scriptOneByOne, keys.length, ...keys, ...args);
  return (outcomes as string[]).join("\n");
}
