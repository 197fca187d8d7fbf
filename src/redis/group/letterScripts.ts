/** The last fields of a dead letter, in their order; before them stand those of the entry. */
export const letterFields = [
  "error",
  "reason",
  "stream",
  "entry",
  "group",
  "consumer",
  "deliveries",
] as const;

/**
 * Most names and values of an entry that its dead letter has as its own: a script can write a little more at once. Those of
 * a larger one stand in one field `content`, as a list in Redis' protocol.
 */
export const mostLetterWords = 7_000;

const aboutLetters = `
-- How many words of a letter are the entry's own; nil: it is no letter. Whether they are a list that is too long to write.
local function ownOf(words)
  local own, names = #words - ${2 * letterFields.length}, {${letterFields.map((name) => `'${name}'`).join(", ")}}
  if own < 2 then return nil end
  for i = 1, #names do
    if words[own + 2 * i - 1] ~= names[i] then return nil end
  end
  local listed = own == 2 and words[1] == 'content' and words[2]:match('^%*(%d+)\\r\\n')
  return own, listed and tonumber(listed) > ${mostLetterWords}
end`;

/**
 * Looks through dead letters, in Lua: entries of a range, up to a count.
 *
 * KEYS: their stream. ARGV: from which on, up to which, how many at most. Returns for each its ID, then, if it is a dead
 * letter, 1 if it is too large to be written by a script, else 0, and the values of its last seven fields.
 */
export const findLettersScript = `${aboutLetters}
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
for i = 1, #found do
  local id, words = unpack(found[i])
  local own, isLarge = ownOf(words)
  found[i] = {id}
  if own then
    found[i][2] = isLarge and 1 or 0
    for j = own + 2, #words, 2 do found[i][#found[i] + 1] = words[j] end
  end
end
return found`;

/**
 * Puts dead letters back into the stream that they come from, in Lua, each as the entry was: those that are there still.
 *
 * KEYS: the stream of dead letters, the other one. ARGV: which. Returns for each the ID of the new entry, or ''.
 */
export const redriveScript = `${aboutLetters}
local call, letters, stream = redis.call, KEYS[1], KEYS[2]
-- Who may not do it finds out before anything is written.
call('XDEL', letters, '0-0')
local added = {}
for i = 1, #ARGV do
  added[i] = ''
  local letter = call('XRANGE', letters, ARGV[i], ARGV[i])[1]
  local words = letter and letter[2] or {}
  local own, isLarge = ownOf(words)
  if own and not isLarge and words[own + 6] == stream then
    added[i] = call('XADD', stream, '*', unpack(words, 1, own))
    call('XDEL', letters, ARGV[i])
  end
end
return added`;
