import { randomUUID } from "node:crypto";
import { asyncScheduler, map, of } from "rxjs";
import { runKeys } from "../../redis/publish/publishPort.ts";
import type { Entry } from "../encode/entry.ts";
import { type Lane, type LaneOptions, lane } from "./lane.ts";
import type { LaneStatus } from "./lanesStatus.ts";
import { again, type Publishing } from "./publishing.ts";
import { nowhere } from "./stand.ts";
import { stateGone } from "./verdictError.ts";

/** One owner as the lane of a sink has it, or one of many writers, each with a lane of its own. */
export type Writers = "one" | "many";

/** Says what a subscription is: as it is told, or by its first event: with a position it is one owner, without one of many. */
export class WritersChoice {
  #writers: Writers | undefined;

  /** @param told - undefined: the first event decides */
  constructor(told: Writers | undefined) {
    this.#writers = told;
  }

  /** Undefined: nobody knows yet. */
  get writers(): Writers | undefined {
    return this.#writers;
  }

  by(first: Entry<unknown> | undefined): Writers {
    this.#writers ??= first?.position === undefined ? "many" : "one";
    return this.#writers;
  }
}

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
    isDurable: tuning.durability !== undefined,
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
      chosen ??= choice.by(batch[0]) === "one" ? owned : own;
      return chosen.publish(batch);
    },
    confirm: (acknowledged) => (chosen ?? owned).confirm(acknowledged),
  };
}
