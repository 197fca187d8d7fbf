import * as t from "io-ts";
import { catchError, map, type Observable, of, throwError } from "rxjs";
import { entryIdBefore, isEntryId } from "../event/entryId.ts";
import { looked, text } from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { required, Settings, withDefault } from "../options/settings.ts";
import { isAnswer } from "../redis/group/groupConnection.ts";
import { groupKeys } from "../redis/group/groupKeys.ts";
import { destroyScript, leaveScript } from "../redis/group/settleScript.ts";
import { decodeReply } from "../redis/wire/replies.ts";
import { onStream, type StreamOptions } from "./openStream.ts";

/** Where a group goes on: after an entry, `0-0` for all there is, `$` for what is new, or with the entries of a time on. */
export type GroupPlace = string | Date;

const place = looked(
  "an entry ID such as 1700000000000-0, $ for new entries only, 0-0 for all, or a Date",
  (value): value is GroupPlace =>
    typeof value === "string" ? value === "$" || isEntryId(value) : isDate(value),
);

function isDate(value: unknown): value is Date {
  return value instanceof Date && value.getTime() >= 0;
}

const group = required(text, "Consumer group");
const creating = new Settings({ group, start: withDefault(place, "0-0", "Where it begins") }).inProgram();
const setting = new Settings({ group, to: required(place, "Where it goes on") }).inProgram();
const ofGroup = new Settings({ group }).inProgram();
const ofConsumer = new Settings({ group, consumer: required(text, "Consumer") }).inProgram();

/** After which entry, as Redis is told it. */
function idOf(place: GroupPlace): string {
  return typeof place === "string" ? place : entryIdBefore(`${place.getTime()}-0`);
}

/**
 * Makes a group, and the stream if need be, so that it begins at `start`, by default with the oldest entry. Emits whether it is
 * new, then completes; one that is there stays as it is.
 *
 * @example
 * ```ts
 * createGroup({ uri, stream: "orders.events" }, { group: "mailer", start: new Date("2026-01-01") }).subscribe();
 * ```
 */
export function createGroup(
  at: StreamOptions,
  options: { readonly group: string; readonly start?: GroupPlace | undefined },
): Observable<boolean> {
  return onStream(at, ({ key, call }) => {
    const { group, start } = decodeOptions(creating, "createGroup", options, []);
    return call("XGROUP", "CREATE", key, group, idOf(start), "MKSTREAM").pipe(
      map(() => true),
      catchError((error) => (isAnswer(error, "BUSYGROUP") ? of(false) : throwError(() => error))),
    );
  });
}

/**
 * Lets a group go on from another place: back, to handle entries again, or on, to leave some out. Emits the entry after which
 * it goes on, then completes; fails if there is no such group. What is pending stays so, and what `deduplicate` remembers is not
 * handled again: to forget that, destroy the group.
 */
export function setGroup(
  at: StreamOptions,
  options: { readonly group: string; readonly to: GroupPlace },
): Observable<string> {
  return onStream(at, ({ key, call }) => {
    const { group, to } = decodeOptions(setting, "setGroup", options, []);
    const id = idOf(to);
    return call("XGROUP", "SETID", key, group, id).pipe(map(() => id));
  });
}

/**
 * Destroys a group, with what is pending in it, and with what `deduplicate` remembers for it. Emits whether there was one, then
 * completes. A consumer that runs makes it anew.
 */
export function destroyGroup(at: StreamOptions, group: string): Observable<boolean> {
  return onStream(at, ({ key, script }) => {
    decodeOptions(ofGroup, "destroyGroup", { group }, []);
    const { marks, consumers } = groupKeys(key, group);
    return script(destroyScript)([group], [marks, consumers]).pipe(
      map(decodeReply("XGROUP DESTROY", t.number)),
      map((destroyed) => destroyed > 0),
    );
  });
}

/**
 * Takes a consumer out of its group unless anything is pending for it, which would be lost with it: `claimEntries` hands
 * that to another one. Emits whether it is out, then completes; fails if there is no such group.
 */
export function removeConsumer(
  at: StreamOptions,
  options: { readonly group: string; readonly consumer: string },
): Observable<boolean> {
  return onStream(at, ({ key, script }) => {
    const { group, consumer } = decodeOptions(ofConsumer, "removeConsumer", options, []);
    const { consumers, memoryOf } = groupKeys(key, group);
    return script(leaveScript)([group, consumer], [consumers, memoryOf(consumer)]).pipe(
      map(decodeReply("the script that removes", t.number)),
      map((removed) => removed > 0),
    );
  });
}
