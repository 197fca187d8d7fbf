/**
 * How deliveries of one stream are settled, in Lua: each only while it is pending, so that sending a
 * batch again changes nothing.
 *
 * KEYS: the stream, the marks of processed events, then whatever is written along.
 * ARGV: group, consumer, how many marks are kept, then the settlements. Each is its kind and the entry ID, then for
 * - `acknowledge`: a mark or '', how many commands, each as a count and as many words;
 * - `hold`: how often it was delivered, for how many ms it counts as idle;
 * - `deadLetter`: the key of the dead letters, a count and as many fields and values.
 *
 * Returns for each 'settled', 'lost' if another consumer has it or nobody, or why Redis refused.
 */
export const settleScript = `
local call, stream, marks = redis.call, KEYS[1], KEYS[2]
local group, consumer, keep = ARGV[1], ARGV[2], tonumber(ARGV[3])
local now = call('TIME')
local at, marked, outcomes = 4, false, {}
local function next() at = at + 1; return ARGV[at - 1] end
local function words() local first = at + 1; at = first + tonumber(ARGV[at]); return unpack(ARGV, first, at - 1) end

local function run(commands)
  for i = 1, #commands do
    local reply = redis.pcall(unpack(commands[i]))
    if type(reply) == 'table' and reply.err then return reply.err end
  end
end

local settle = {
  acknowledge = function(id)
    local mark, commands = next(), {}
    for i = 1, tonumber(next()) do commands[i] = {words()} end
    if #call('XPENDING', stream, group, id, id, 1) == 0 then return 'settled' end
    if mark == '' or not call('ZSCORE', marks, mark) then
      local refused = run(commands)
      if refused then return refused end
      if mark ~= '' then call('ZADD', marks, now[1] * 1000000 + now[2], mark); marked = true end
    end
    call('XACK', stream, group, id)
    return 'settled'
  end,
  hold = function(id)
    local deliveries, idle = next(), next()
    if #call('XPENDING', stream, group, id, id, 1, consumer) == 0 then return 'lost' end
    call('XCLAIM', stream, group, consumer, 0, id, 'IDLE', idle, 'RETRYCOUNT', deliveries, 'JUSTID')
    return 'settled'
  end,
  deadLetter = function(id)
    local letter = {'XADD', next(), '*', words()}
    if #call('XPENDING', stream, group, id, id, 1, consumer) == 0 then return 'lost' end
    local refused = run({letter})
    if refused then return refused end
    call('XACK', stream, group, id)
    return 'settled'
  end,
}

while at <= #ARGV do
  local kind = next()
  outcomes[#outcomes + 1] = settle[kind](next())
end
if marked then call('ZREMRANGEBYRANK', marks, 0, -keep - 1) end
return outcomes`;
