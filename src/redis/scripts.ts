/**
 * The publish protocol in Lua. A script is atomic but has no rollback, so each checks everything
 * before it writes, and writes the producer state last.
 *
 * KEYS: the stream, the producer state, and, if there is one, the stream of the dead letters.
 */

const checkTypes = `
local kind
for _, key in ipairs({KEYS[3] or KEYS[1], KEYS[1]}) do
  kind = redis.call('TYPE', key).ok
  if kind ~= 'stream' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. key .. ' holds a ' .. kind)
  end
end`;

/** ARGV: owner. Returns epoch, sequence, position, entry, entries of others. */
export const openScript = `${checkTypes}
local state = redis.call('HMGET', KEYS[2], 'epoch', 'sequence', 'position', 'entry', 'owner')
local epoch = tonumber(state[1]) or 0
local foreign = 0
if not state[1] then
  if kind == 'stream' then foreign = redis.call('XLEN', KEYS[1]) end
  redis.call('HSET', KEYS[2], 'sequence', 0, 'position', '', 'entry', '')
end
if state[5] ~= ARGV[1] then
  epoch = epoch + 1
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'owner', ARGV[1])
end
return {epoch, tonumber(state[2]) or 0, state[3] or '', state[4] or '', foreign}`;

/**
 * ARGV: epoch, sequence, position, layout, entries. Layout 1: each entry is its payload. Layout 0:
 * each is the number of its key, a count and as many fields and values. Returns the ID of the stream's
 * last entry, that together with 'renewed' if somebody had deleted the stream, or a finding and its data.
 */
export const publishScript = `${checkTypes}
local call = redis.call
local state = call('HMGET', KEYS[2], 'epoch', 'sequence', 'position', 'entry')
local epoch, sequence = tonumber(state[1]), tonumber(state[2])
local myEpoch, mySequence = tonumber(ARGV[1]), tonumber(ARGV[2])
if not epoch or not sequence then return {'missing', kind == 'stream' and 1 or 0} end
if epoch > myEpoch then return {'fenced', epoch} end
if epoch < myEpoch then return {'outdated', state[3]} end
if sequence >= mySequence then return state[4] or '' end
if sequence < mySequence - 1 then return {'gap', sequence, state[3]} end
-- Who may not write the state must find out before the first entry is there.
call('HSET', KEYS[2], 'epoch', state[1])
local stream, args, entry = KEYS[1], ARGV, state[4] or ''
if args[4] == '1' then
  for i = 5, #args do entry = call('XADD', stream, '*', 'event', args[i]) end
else
  local i = 5
  while i <= #args do
    local last = i + 1 + tonumber(args[i + 1])
    local id = call('XADD', KEYS[tonumber(args[i])], '*', unpack(args, i + 2, last))
    if args[i] == '1' then entry = id end
    i = last + 1
  end
end
call('HSET', KEYS[2], 'sequence', ARGV[2], 'position', ARGV[3], 'entry', entry)
if kind == 'none' and (state[4] or '') ~= '' then return {'renewed', entry} end
return entry`;
