import { missingLua, rules, type Verdict } from "./protocol.ts";
import { type Trim, trimLua } from "./trimming.ts";

/**
 * The publish protocol in Lua. A script is atomic but has no rollback, so each checks everything
 * before it writes, and writes the producer state last.
 *
 * KEYS: the producer state, then the streams, the lane's own one first.
 */

/** Says in `stands` whether there are streams, from key `first` on, but for the one of the dead letters at number `dead`. */
const checkTypes = (first: number) => `
local stands = 0
for i = ${first}, #KEYS do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind == 'stream' then
    if i ~= dead then stands = 1 end
  elseif kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' holds a ' .. kind)
  end
end`;

/**
 * KEYS: the producer state; its mark, or the state again where there is none; the streams that are known.
 * ARGV: owner; the number of the key of the dead letters, 0: there is none; whether streams are computed, 1 or 0; whether
 * it may begin where a state has been and is gone. Returns that it is gone, or epoch, sequence and entries of others, then
 * position, ahead and entry.
 */
export const openScript = `
local dead = tonumber(ARGV[2])${checkTypes(3)}
local state = redis.call('HMGET', KEYS[1], 'epoch', 'sequence', 'owner', 'position', 'ahead', 'entry')
local epoch, sequence = tonumber(state[1]), tonumber(state[2])
local hasMark = KEYS[2] ~= KEYS[1]
local marked = hasMark and tonumber(redis.call('HMGET', KEYS[2], 'epoch')[1])
local foreign = 0
if ${missingLua} then
  if marked and (stands == 1 or ARGV[3] == '1') and ARGV[4] ~= '1' then return {'gone'} end
  if stands == 1 then foreign = redis.call('XLEN', KEYS[3]) end
  redis.call('HSET', KEYS[1], 'sequence', 0, 'position', '', 'ahead', '', 'entry', '')
  epoch, state = marked or 0, {}
end
if state[3] ~= ARGV[1] then
  epoch = epoch + 1
  if hasMark then redis.call('HSET', KEYS[2], 'epoch', epoch) end
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'owner', ARGV[1])
end
return {{epoch, tonumber(state[2]) or 0, foreign}, {state[4] or '', state[5] or '', state[6] or ''}}`;

/** What the publish script answers to what it found. */
const answers: { readonly [V in Exclude<Verdict, "next">]: string } = {
  missing: "{'missing', stands}",
  fenced: "{'fenced', epoch}",
  outdated: "{'outdated', state[4]}",
  known: "state[5] or ''",
  gap: "{'gap', sequence, state[4]}",
};

const comparison = rules
  .map(({ lua, verdict }) => `if ${lua} then return ${answers[verdict]} end`)
  .join("\n");

/** What there is without a state, and how one is claimed before the first entry is there. */
const statePart = (expiresMs: number | undefined) =>
  expiresMs === undefined
    ? {
        missing: `if ${missingLua} then return ${answers.missing} end`,
        claim: "call('HSET', KEYS[1], 'epoch', state[1])",
      }
    : {
        missing: `if ${missingLua} then
  if mySequence ~= 1 then return ${answers.missing} end
  state, epoch, sequence, owner = {}, myEpoch, 0, myOwner
end`,
        claim: `call('HSET', KEYS[1], 'epoch', myEpoch, 'owner', myOwner)
call('PEXPIRE', KEYS[1], ${expiresMs})`,
      };

/**
 * ARGV: owner, epoch, sequence, position, ahead, the number of the key of the dead letters or 0, layout, how each stream is
 * trimmed where that is decided by stream, entries.
 * Layout 1: each entry is its payload, for the first stream. Layout 2: the number of its key, its payload.
 * Layout 3: the number of its key, a count and as many fields and values. Returns the ID of the last
 * entry that is no dead letter, that together with 'renewed' if none of the streams was there although
 * there had been entries, or a finding and its data. With `expiresMs` the first batch makes the state, which expires.
 */
export function publishScript(trim?: Trim, expiresMs?: number): string {
  const trimming = trimLua(trim, 8);
  const first = typeof trim === "function" ? 9 : 8;
  const { missing, claim } = statePart(expiresMs);
  return `
local dead = tonumber(ARGV[6])${checkTypes(2)}
local call = redis.call
local state = call('HMGET', KEYS[1], 'epoch', 'sequence', 'owner', 'position', 'entry')
local epoch, sequence, owner = tonumber(state[1]), tonumber(state[2]), state[3]
local myOwner, myEpoch, mySequence = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
${missing}
${comparison}
-- Who may not write the state must find out before the first entry is there.
${claim}${trimming.before}
local args, entry = ARGV, state[5] or ''
if args[7] == '1' then
  local stream, first = KEYS[2], nil
  local function addAll(call, stream, args)
    local id
    for i = ${first}, #args do
      id = call('XADD', stream, '*', 'event', args[i])
      if i == ${first} then first = id end
    end
    return id
  end
  local isDone, last = pcall(addAll, call, stream, args)
  if not isDone then
    -- As when the stream's last possible ID is taken: nothing of the batch may stand.
    local added = first and redis.pcall('XRANGE', stream, first, '+') or {}
    for _, found in ipairs(added) do redis.pcall('XDEL', stream, found[1]) end
    return type(last) == 'table' and last or redis.error_reply(last)
  end
  entry = last or entry
else
  local keys, ids = {}, {}
  local function add(key, ...)
    local id = redis.pcall('XADD', KEYS[key], '*', ...)
    if type(id) == 'table' then
      for i = 1, #ids do call('XDEL', KEYS[keys[i]], ids[i]) end
      return id
    end
    keys[#keys + 1], ids[#ids + 1] = key, id
    if key ~= dead then entry = id end
  end
  local i, refused = ${first}, nil
  while i <= #args and not refused do
    local key, last = tonumber(args[i]), i + 1
    if args[7] == '2' then
      refused = add(key, 'event', args[last])
    else
      last = last + tonumber(args[i + 1])
      refused = add(key, unpack(args, i + 2, last))
    end
    i = last + 1
  end
  if refused then return refused end
end${trimming.after}
call('HSET', KEYS[1], 'sequence', ARGV[3], 'position', ARGV[4], 'ahead', ARGV[5], 'entry', entry)
if stands == 0 and (state[5] or '') ~= '' then return {'renewed', entry} end
return entry`;
}
