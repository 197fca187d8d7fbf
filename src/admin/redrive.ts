import { leq } from "fp-ts/lib/Ord.js";
import * as t from "io-ts";
import { concatMap, defer, EMPTY, from, map, mergeMap, type Observable, of, repeat } from "rxjs";
import { ordEntryId } from "../event/entryId.ts";
import { count, entryId, flag, text } from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { optional, Settings, withDefault } from "../options/settings.ts";
import { findLettersScript, redriveScript } from "../redis/group/letterScripts.ts";
import { refuseKeyPrefix } from "../redis/wire/keyPrefix.ts";
import { decodeReply } from "../redis/wire/replies.ts";
import { type OpenStream, onStream, type StreamOptions } from "./openStream.ts";

/** Which dead letters. */
export interface RedriveOptions {
  /** Only those whose reason has this text in it. Default: all. */
  readonly reason?: string | undefined;
  /** Only those that this group has set aside. Default: of every group. */
  readonly group?: string | undefined;
  /** The first and the last one, by the ID of the dead letter. Default: all that are there when it begins. */
  readonly minId?: string | undefined;
  readonly maxId?: string | undefined;
  /** At most so many. Default: all. */
  readonly count?: number | undefined;
  /** Only tells which. Default false. */
  readonly dryRun?: boolean | undefined;
}

/** What became of a dead letter. */
export interface Redriven {
  /** Its ID among the dead letters. */
  readonly letterId: string;
  /** Where its entry stood, and goes. */
  readonly stream: string;
  readonly entryId: string;
  readonly group: string;
  readonly reason: string;
  /**
   * `redriven`: it is in its stream again. `found`: it would be, without `dryRun`. `gone`: somebody else has taken it
   * meanwhile. `tooLarge`: it has more than 3,500 fields, which no script can write, and stays.
   */
  readonly state: "redriven" | "found" | "gone" | "tooLarge";
  /** As what its entry stands there now; undefined: it does not. */
  readonly newEntryId: string | undefined;
}

const Letters = t.array(t.array(t.union([t.string, t.number])));
const EntryIds = t.array(t.string);
const Entries = t.array(t.tuple([t.string, t.unknown]));

/** How many one script looks at, or moves: Redis serves nobody else meanwhile. */
const mostAtOnce = 100;

const settings = new Settings({
  reason: optional(text, "Only those whose reason has this in it"),
  group: optional(text, "Only those of this group"),
  min_id: optional(entryId, "The first one"),
  max_id: optional(entryId, "The last one"),
  count: withDefault(count, Number.MAX_SAFE_INTEGER, "At most so many"),
  dry_run: withDefault(flag, false, "Only tells which"),
}).inProgram();

/**
 * Puts dead letters of consumer groups back into the streams that they come from, each in one atomic step as the entry that it was,
 * and takes them out of theirs, `stream`. Emits what became of each, from the oldest on, then completes; what is no dead
 * letter of a group, such as one of a sink, is left alone. Every group of the stream gets the entry anew, at its end.
 *
 * Called again it moves what is left. What becomes a dead letter meanwhile is not looked at. In a Cluster both streams stand
 * in one slot, as the groups need it themselves.
 *
 * @example
 * ```ts
 * redrive({ uri, stream: "orders.dead" }, { reason: "ECONNREFUSED" }).subscribe(console.log);
 * ```
 */
export function redrive(at: StreamOptions, options: RedriveOptions = {}): Observable<Redriven> {
  return onStream(at, (letters) => {
    const tuning = decodeOptions(settings, "redrive", options, []);
    refuseKeyPrefix("redrive", at);
    const { reason = "", group, minId = "-", maxId, dryRun } = tuning;
    const find = letters.script(findLettersScript);
    const move = mover(letters);
    let start: string | undefined = minId;
    let left = tuning.count;

    /** The next ones up to the last one, of which those that are asked for. */
    const some = (last: string) =>
      defer(() => find([start ?? last, last, `${mostAtOnce}`])).pipe(
        map(decodeReply("the script that finds dead letters", Letters)),
        mergeMap((found) => {
          const [after] = found[mostAtOnce - 1] ?? [];
          start = after === undefined ? undefined : `(${after}`;
          const asked = found
            .flatMap(letterOf)
            .filter((letter) => letter.reason.includes(reason) && (group ?? letter.group) === letter.group)
            .slice(0, left);
          left -= asked.length;
          return dryRun ? asked : from(asked).pipe(concatMap(move));
        }),
        repeat({ delay: () => (start === undefined || left === 0 ? EMPTY : of(true)) }),
      );
    return lastOf(letters).pipe(
      mergeMap((last) => some(maxId === undefined || leq(ordEntryId)(last, maxId) ? last : maxId)),
    );
  });
}

/** Moves one, unless it is too large. */
function mover({ script }: OpenStream): (letter: Redriven) => Observable<Redriven> {
  const move = script(redriveScript);
  return (letter) =>
    letter.state === "tooLarge"
      ? of(letter)
      : move([letter.letterId], [letter.stream]).pipe(
          map(decodeReply("the script that redrives", EntryIds)),
          map(([newEntryId = ""]) =>
            newEntryId === "" ? { ...letter, state: "gone" } : { ...letter, state: "redriven", newEntryId },
          ),
        );
}

/** The last entry; nothing if there is none. */
function lastOf({ key, call }: OpenStream): Observable<string> {
  return call("XREVRANGE", key, "+", "-", "COUNT", 1).pipe(
    map(decodeReply("XREVRANGE", Entries)),
    mergeMap((found) => found.map(([entryId]) => entryId)),
  );
}

/** A dead letter, as the script tells of it; of anything else nothing. */
function letterOf([letterId, isLarge, ...values]: readonly (string | number)[]): readonly Redriven[] {
  if (isLarge === undefined) return [];
  const [, reason, stream, entryId, group] = values.map(String);
  const state = isLarge === 1 ? "tooLarge" : "found";
  return [
    {
      letterId: String(letterId),
      stream: stream ?? "",
      entryId: entryId ?? "",
      group: group ?? "",
      reason: reason ?? "",
      state,
      newEntryId: undefined,
    },
  ];
}
