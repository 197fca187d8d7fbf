import * as t from "io-ts";
import { concat, EMPTY, expand, map, type Observable, reduce } from "rxjs";
import { flag } from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { Settings, withDefault } from "../options/settings.ts";
import { heldAtFunction } from "../redis/publish/trimming.ts";
import { decodeReply } from "../redis/wire/replies.ts";
import { onStream, type StreamOptions } from "./openStream.ts";
import type { Trimmed } from "./trimStream.ts";

/** What trimming to what is acknowledged did. */
export interface AcknowledgedTrim extends Trimmed {
  /** Groups of the stream; 0: nothing was removed, for nobody has acknowledged anything. */
  readonly groups: number;
  /** The group that is furthest behind; undefined: all have acknowledged everything. */
  readonly heldBy: string | undefined;
  /** The oldest entry that it has not read or not acknowledged. */
  readonly heldAt: string | undefined;
}

/**
 * Removes what every group has acknowledged, or has nothing to do with, in one atomic step: the oldest
 * entry that a group has not read or has pending stays, with all after it.
 *
 * KEYS: the stream. ARGV: `~` and the most entries to remove, or `=`. Returns entries removed, entries
 * left, groups, the group that holds the rest and at which entry.
 */
const trimScript = `
local key = KEYS[1]${heldAtFunction}
local first, by, groups = heldAt(key)
local removed = 0
if groups > 0 then
  local trim = {'XTRIM', key}
  if first then trim[3] = 'MINID' else trim[3] = 'MAXLEN' end
  trim[4], trim[5] = ARGV[1], first or 0
  if ARGV[2] then trim[6], trim[7] = 'LIMIT', ARGV[2] end
  removed = redis.call(unpack(trim))
end
return {removed, redis.call('XLEN', key), groups, by or '', first or ''}`;

const Reply = t.tuple([t.number, t.number, t.number, t.string, t.string]);

/** How many entries one call may remove: Redis serves nobody else meanwhile. */
const mostAtOnce = "10000";

const settings = new Settings({
  approximate: withDefault(flag, false, "Removes whole nodes only"),
}).inProgram();

/**
 * Removes the entries that every group has acknowledged, or was never to read, and no entry that a
 * group has not read or has pending, whatever the groups do meanwhile. Emits what it did, then
 * completes; fails if there is no such stream. Without a group it removes nothing.
 *
 * It looks at the groups and trims in one atomic step; there are steps of up to 10,000 entries, so that
 * Redis stays responsive.
 */
export function trimAcknowledged(
  at: StreamOptions,
  options: { readonly approximate?: boolean | undefined } = {},
): Observable<AcknowledgedTrim> {
  return onStream(at, ({ script }) => {
    const { approximate } = decodeOptions(settings, "trimAcknowledged", options, []);
    const run = script(trimScript);
    const trim = (...how: readonly string[]) =>
      run(how).pipe(map(decodeReply("the script that trims", Reply)), map(toTrim));
    const nodes = trim("~", mostAtOnce);
    const steps = nodes.pipe(expand(({ removed }) => (removed > 0 ? nodes : EMPTY)));
    return concat(steps, approximate ? EMPTY : trim("=")).pipe(
      reduce((before, latest) => ({ ...latest, removed: before.removed + latest.removed })),
    );
  });
}

function toTrim([removed, length, groups, heldBy, heldAt]: t.TypeOf<typeof Reply>): AcknowledgedTrim {
  const isHeld = heldAt !== "";
  return {
    removed,
    length,
    groups,
    heldBy: isHeld ? heldBy : undefined,
    heldAt: isHeld ? heldAt : undefined,
  };
}
