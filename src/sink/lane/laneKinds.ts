import { randomUUID } from "node:crypto";
import { asyncScheduler, map, of } from "rxjs";
import { runKeys } from "../../redis/publish/publishPort.ts";
import type { WritersChoice } from "../writers.ts";
import { type Lane, type LaneOptions, lane, passedOver } from "./lane.ts";
import type { LaneStatus } from "./lanesStatus.ts";
import { again, type Publishing } from "./publishing.ts";
import { nowhere } from "./stand.ts";
import { stateGone } from "./verdictError.ts";

/** What one of the lanes of a subscription has for itself. */
export interface LaneParts<P>
  extends Pick<LaneOptions<P>, "keys" | "publishPort" | "isResuming" | "opened" | "replayed"> {
  readonly status: LaneStatus;
  /** Where it stands, for people. */
  readonly stream: string;
}

/** Makes the lane of a sink, of which one writer at a time is the owner: under this name, and after a loss under another one. */
export function ownedLane<P>(shared: Publishing<P>, parts: LaneParts<P>, owner: string): Lane<P> {
  const { keys, publishPort } = parts;
  let next = owner;
  const open = (name: string) =>
    publishPort.open(keys, name, shared.tuning.adopt).pipe(
      map((found) => {
        if (found.reply === "gone") throw stateGone(keys);
        return { ...found, keys, owner: name };
      }),
    );
  return laneOf(shared, parts, () => {
    const name = next;
    next = randomUUID();
    return open(name);
  });
}

/** Makes a lane that the subscription has for itself, beside that of the sink: nothing of it is there before its first batch. */
export function ownLane<P>(shared: Publishing<P>, parts: LaneParts<P>): Lane<P> {
  const begin = () => {
    const owner = randomUUID();
    const keys = runKeys(parts.keys, owner);
    return of({ ...nowhere, keys, owner, epoch: 1, sequence: 0, entryId: "", foreignEntries: 0 });
  };
  return laneOf(shared, parts, begin);
}

function laneOf<P>(
  shared: Publishing<P>,
  { status, stream, ...parts }: LaneParts<P>,
  begin: LaneOptions<P>["begin"],
): Lane<P> {
  const { spans, tuning, positions, scheduler = asyncScheduler } = shared;
  const { keys } = parts;
  return lane({
    ...parts,
    begin,
    positions,
    retry: again(shared, status, keys),
    holdsUnconfirmed: tuning.durability !== undefined && !parts.isResuming,
    now: () => scheduler.now(),
    sending: spans && ((batch, sent) => spans.sent(keys, batch, sent)),
    warned: (message) => shared.status.report({ state: "warning", message }),
    lost: (events) => shared.status.report({ state: "lost", stream, events }),
  });
}

/** A lane that is the one or the other, as the subscription is. */
export function chosenLane<P>(choice: WritersChoice, owned: Lane<P>, own: Lane<P>): Lane<P> {
  let chosen: Lane<P> | undefined;
  return {
    keys: owned.keys,
    opened$: owned.opened$,
    publish: (batch) => {
      const writers = choice.by(batch);
      // Nothing is to be written, and it may be of either kind.
      if (writers === undefined) return of(passedOver(owned.keys.stream ?? "", batch));
      chosen ??= writers === "one" ? owned : own;
      return chosen.publish(batch);
    },
    confirm: (acknowledged) => chosen?.confirm(acknowledged) ?? of(undefined),
  };
}
