import { isBeforeFunction } from "../publish/trimming.ts";

/** Makes a table of names and values that alternate, in Lua. */
const tableFunction = `
local function tableOf(words)
  local found = {}
  for i = 1, #words, 2 do found[words[i]] = words[i + 1] end
  return found
end`;

/**
 * How deliveries of one stream are settled, in Lua: each only while it is pending. The outcomes of a batch that writes
 * are remembered for a day under its token, as the answer to the same batch when it is sent again.
 *
 * What is of one kind and in a row is a run: looked up at once, and acknowledged and marked at once. What brings
 * commands is a run of its own, as they may change what was looked up.
 *
 * An entry that was deleted or trimmed stays pending for its consumer: XCLAIM would drop it, so its sign of life is left
 * beside the consumer's `claimIdleMs`.
 *
 * KEYS: the stream, the marks of processed events, the memory of outcomes, the consumers, then whatever is written along.
 * ARGV: group, consumer, how many marks are kept, the token or '', then the runs. Each is its kind, how many entries,
 * their IDs, and then for each of these, if it is
 * - `acknowledge`: a mark or '';
 * - `write`: a mark or '', how many commands, each as a count and as many words;
 * - `keepAlive`: nothing;
 * - `start`: how often it was delivered;
 * - `handBack`: for how many ms it counts as idle, how often it counts as delivered;
 * - `deadLetter`: the key of the dead letters, a count and as many fields and values.
 * With a `+` behind its kind, what of a run is acknowledged is taken out of the stream as well if each of its groups has
 * read and acknowledged it.
 *
 * Returns a line for each: 'acknowledged', 'kept', "another's", 'gone', or why Redis refused.
 */
export const settleScript = `${isBeforeFunction}${tableFunction}
local call, stream, marks, memory, consumers = redis.call, KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, consumer, keep, token = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
if token ~= '' then
  local known = call('GET', memory)
  if known and known:sub(1, #token + 1) == token .. '\\n' then return known:sub(#token + 2) end
end

local time = call('TIME')
local now = time[1] .. ('%06d'):format(time[2])
local at, marked, isAlive = 5, false, false
local outcomes, settled, written = {}, {}, {}
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

-- Who has each; nil: nobody. One look finds those of this consumer, as they mostly are, and in their order.
local function ownersOf(ids)
  local owners, count = {}, #ids
  local own = count > 1 and call('XPENDING', stream, group, ids[1], ids[count], count, consumer) or {}
  for i = 1, #own do owners[own[i][1]] = consumer end
  for i = 1, count do
    local id = ids[i]
    if not owners[id] then owners[id] = (call('XPENDING', stream, group, id, id, 1)[1] or {})[2] end
  end
  return owners
end

local function acknowledge(id, mark)
  settled[#settled + 1] = id
  if mark ~= '' then
    written[#written + 1] = now
    written[#written + 1] = mark
  end
  return 'acknowledged'
end

-- Why it is not this consumer's; nil: it is.
local function loss(owner)
  if not owner then return 'gone' end
  if owner ~= consumer then return "another's" end
end

local function claim(id, owner, ...)
  local lost = loss(owner)
  if lost then return lost end
  if #call('XRANGE', stream, id, id) > 0 then
    call('XCLAIM', stream, group, consumer, 0, id, ...)
  elseif not isAlive then
    local patience = (call('HGET', consumers, consumer) or '0'):match('%d+')
    call('HSET', consumers, consumer, patience .. ' ' .. time[1] * 1000 + math.floor(time[2] / 1000))
    isAlive = true
  end
  return 'kept'
end

local settle = {
  acknowledge = function(id, owner)
    local mark = next()
    -- Without anything to write, what another consumer has acknowledged meanwhile is acknowledged.
    return not owner and mark ~= '' and 'gone' or acknowledge(id, mark)
  end,
  write = function(id, owner)
    local mark, commands = next(), {}
    for i = 1, tonumber(next()) do commands[i] = words() end
    if not owner then return 'gone' end
    local isKnown = mark ~= '' and call('ZSCORE', marks, mark)
    return not isKnown and run(commands) or acknowledge(id, mark)
  end,
  keepAlive = function(id, owner) return claim(id, owner, 'JUSTID') end,
  start = function(id, owner) return claim(id, owner, 'RETRYCOUNT', next(), 'JUSTID') end,
  handBack = function(id, owner) return claim(id, owner, 'IDLE', next(), 'RETRYCOUNT', next(), 'JUSTID') end,
  deadLetter = function(id, owner)
    local key = next()
    local letter = words('XADD', key, '*')
    return loss(owner) or run({letter}) or acknowledge(id, '')
  end,
}

-- Whether a group has read an entry, and nobody has it to do; it is not this group's any more.
local function isDone(fields, id)
  local about = tableOf(fields)
  if isBefore(about['last-delivered-id'], id) then return false end
  return about.name == group or #call('XPENDING', stream, about.name, id, id, 1) == 0
end

local function remove(ids, groups)
  local removed = {}
  for i = 1, #ids do
    local all = true
    for j = 1, #groups do all = all and isDone(groups[j], ids[i]) end
    if all then removed[#removed + 1] = ids[i] end
  end
  if #removed > 0 then call('XDEL', stream, unpack(removed)) end
end

while at <= #ARGV do
  local kind, removes = next():match('^(%a+)(%+?)$')
  local count, groups = tonumber(next())
  local ids = {unpack(ARGV, at, at + count - 1)}
  at = at + count
  local owners, one = ownersOf(ids), settle[kind]
  if removes == '+' then
    -- Who may not do it finds out before anything is written; without a stream there is no group, as was told by now.
    groups = call('XINFO', 'GROUPS', stream)
    call('XDEL', stream, '0-0')
  end
  for i = 1, count do
    local id = ids[i]
    local outcome = one(id, owners[id])
    if outcome == 'acknowledged' then owners[id] = nil end
    outcomes[#outcomes + 1] = outcome
  end
  if #written > 0 and call('ZADD', marks, 'NX', unpack(written)) > 0 then marked = true end
  if #settled > 0 then
    call('XACK', stream, group, unpack(settled))
    if groups then remove(settled, groups) end
  end
  settled, written = {}, {}
end
if marked then call('ZREMRANGEBYRANK', marks, 0, -keep - 1) end
local told = table.concat(outcomes, '\\n')
if token ~= '' then call('SET', memory, token .. '\\n' .. told, 'EX', 86400) end
return told`;

/**
 * Hands out pending entries of one stream, in Lua: those of this consumer, or those that nobody has given a sign of.
 * These may be its own as well: a failover brings back what was acknowledged, and it holds that no longer. How often
 * each was delivered stays as it is: only a handler that starts counts.
 *
 * KEYS: the stream, the consumers: of each its `claimIdleMs` and perhaps when it last said that it is alive.
 * ARGV: group, consumer, after which entry, at most how many entries and bytes, its `claimIdleMs`, its `removeIdleMs` or '',
 * 'own' or 'stale'.
 *
 * What was deleted has no fields. Nobody is taken anything from before their own `claimIdleMs` is over.
 *
 * From the beginning on, which is after '', it first gives a sign of life, a look at what it cannot have; Redis would not
 * count one that waits for new entries, before 7.2. Then it takes those out of the group that gave none for `removeIdleMs`
 * and hold nothing, if they are of our kind, which say their `claimIdleMs`. One that lives all the same is made anew by its next read.
 *
 * Returns after which entry to go on, or '' when there is no more, then for each its ID, its fields and how often it
 * was delivered.
 */
export const pendingScript = `${tableFunction}
local call, stream, consumers = redis.call, KEYS[1], KEYS[2]
local group, consumer, after, count = ARGV[1], ARGV[2], '(' .. ARGV[3], tonumber(ARGV[4])
local room, idle, removeIdle, isOwn = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7]), ARGV[8] == 'own'

if ARGV[3] == '' then
  after = '-'
  if (call('HGET', consumers, consumer) or ''):match('%d+') ~= idle then call('HSET', consumers, consumer, idle) end
  call('XREADGROUP', 'GROUP', group, consumer, 'STREAMS', stream, '18446744073709551615-18446744073709551614')
  local all = removeIdle and call('XINFO', 'CONSUMERS', stream, group) or {}
  for i = 1, #all do
    local about = tableOf(all[i])
    local patience = (call('HGET', consumers, about.name) or ''):match('%d+')
    if patience and about.pending == 0 and about.idle >= math.max(removeIdle, tonumber(patience)) then
      call('XGROUP', 'DELCONSUMER', stream, group, about.name)
      call('HDEL', consumers, about.name)
    end
  end
end

local pending = isOwn and call('XPENDING', stream, group, after, '+', count, consumer)
  or call('XPENDING', stream, group, 'IDLE', idle, after, '+', count)

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = {}
-- For how long a consumer may be silent, and when it last said that it is alive.
local function saidBy(owner)
  if not known[owner] then
    local patience, alive = (call('HGET', consumers, owner) or '0'):match('(%d+) ?(%d*)')
    known[owner] = {math.max(tonumber(idle), tonumber(patience)), tonumber(alive) or 0}
  end
  return unpack(known[owner])
end

local found, last, bytes = {}, '', 0
for i = 1, #pending do
  local id, owner, idleMs, deliveries = unpack(pending[i])
  local patience, alive = 0, 0
  if not isOwn then patience, alive = saidBy(owner) end
  if idleMs >= patience then
    local entry = call('XRANGE', stream, id, id)[1]
    if entry then
      local fields = entry[2]
      for j = 1, #fields do bytes = bytes + #fields[j] end
      if bytes > room and #found > 0 then return {last, found} end
      if not isOwn then call('XCLAIM', stream, group, consumer, 0, id, 'RETRYCOUNT', deliveries, 'JUSTID') end
      found[#found + 1] = {id, fields, deliveries}
    -- What stands has its sign of life in how long it has been idle, also when it was handed back.
    elseif now - alive >= patience then
      found[#found + 1] = {id, false, deliveries}
    end
  end
  last = id
end
return {#pending < count and '' or last, found}`;

/**
 * Takes a consumer out of its group, in Lua, unless anything is pending for it: that would be lost with it.
 *
 * KEYS: the stream, the consumers, its memory of outcomes. ARGV: group, consumer.
 */
export const leaveScript = `
redis.call('DEL', KEYS[3])
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1`;

/**
 * Destroys a group, in Lua, with what it keeps beside its stream, also where that is gone. Returns how many groups there were.
 *
 * KEYS: the stream, the marks of processed events, the consumers. ARGV: group.
 */
export const destroyScript = `
local destroyed = redis.pcall('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
if type(destroyed) == 'table' then
  if not destroyed.err:find('requires the key to exist', 1, true) then return destroyed end
  destroyed = 0
end
redis.call('DEL', KEYS[2], KEYS[3])
return destroyed`;
