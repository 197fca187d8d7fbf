import { type TrimOption, trimLua } from "./trimming.ts";

/**
 * The publish protocol in Lua. A script is atomic but has no rollback, so each checks everything
 * before it writes, and writes the producer state last.
 *
 * KEYS: the producer state, then the streams, the lane's own one first.
 */

/** Says in `stands` whether there are streams, but for the one of the dead letters at number `dead`. */
const checkTypes = `
local stands = 0
for i = 2, #KEYS do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind == 'stream' then
    if i ~= dead then stands = 1 end
  elseif kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' holds a ' .. kind)
  end
end`;

/**
 * ARGV: owner; the number of the key of the dead letters, 0: there is none. Returns epoch, sequence,
 * position, entry, entries of others.
 */
export const openScript = `
local dead = tonumber(ARGV[2])${checkTypes}
local state = redis.call('HMGET', KEYS[1], 'epoch', 'sequence', 'position', 'entry', 'owner')
local epoch = tonumber(state[1]) or 0
local foreign = 0
if not state[1] then
  if stands == 1 then foreign = redis.call('XLEN', KEYS[2]) end
  redis.call('HSET', KEYS[1], 'sequence', 0, 'position', '', 'entry', '')
end
if state[5] ~= ARGV[1] then
  epoch = epoch + 1
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'owner', ARGV[1])
end
return {epoch, tonumber(state[2]) or 0, state[3] or '', state[4] or '', foreign}`;

/**
 * ARGV: epoch, sequence, position, the number of the key of the dead letters or 0, layout, entries.
 * Layout 1: each entry is its payload, for the first stream. Layout 2: the number of its key, its payload.
 * Layout 3: the number of its key, a count and as many fields and values. Returns the ID of the last
 * entry that is no dead letter, that together with 'renewed' if none of the streams was there although
 * there had been entries, or a finding and its data.
 */
export function publishScript(trim?: TrimOption): string {
  const trimming = trimLua(trim);
  return `
local dead = tonumber(ARGV[4])${checkTypes}
local call = redis.call
local state = call('HMGET', KEYS[1], 'epoch', 'sequence', 'position', 'entry')
local epoch, sequence = tonumber(state[1]), tonumber(state[2])
local myEpoch, mySequence = tonumber(ARGV[1]), tonumber(ARGV[2])
if not epoch or not sequence then return {'missing', stands} end
if epoch > myEpoch then return {'fenced', epoch} end
if epoch < myEpoch then return {'outdated', state[3]} end
if sequence >= mySequence then return state[4] or '' end
if sequence < mySequence - 1 then return {'gap', sequence, state[3]} end
-- Who may not write the state must find out before the first entry is there.
call('HSET', KEYS[1], 'epoch', state[1])${trimming.before}
local args, entry = ARGV, state[4] or ''
if args[5] == '1' then
  local stream = KEYS[2]
  for i = 6, #args do entry = call('XADD', stream, '*', 'event', args[i]) end
else
  local keys, ids = {}, {}
  local function add(key, ...)
    local id = redis.pcall('XADD', KEYS[key], '*', ...)
    if type(id) == 'table' then
      -- Refused, as when the stream's last possible ID is taken: nothing of the batch may stand.
      for i = 1, #ids do call('XDEL', KEYS[keys[i]], ids[i]) end
      return id
    end
    keys[#keys + 1], ids[#ids + 1] = key, id
    if key ~= dead then entry = id end
  end
  local i, refused = 6, nil
  while i <= #args and not refused do
    local key, last = tonumber(args[i]), i + 1
    if args[5] == '2' then
      refused = add(key, 'event', args[last])
    else
      last = last + tonumber(args[i + 1])
      refused = add(key, unpack(args, i + 2, last))
    end
    i = last + 1
  end
  if refused then return refused end
end${trimming.after}
call('HSET', KEYS[1], 'sequence', ARGV[2], 'position', ARGV[3], 'entry', entry)
if stands == 0 and (state[4] or '') ~= '' then return {'renewed', entry} end
return entry`;
}
