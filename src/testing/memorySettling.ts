import { geq } from "fp-ts/lib/Ord.js";
import { ordEntryId } from "../event/entryId.ts";
import { groupKeys } from "../redis/group/groupKeys.ts";
import { type Effect, isFinal, isPlain, type Outcome, type Settlement } from "../redis/group/settlement.ts";
import { redisErrorOf } from "../redis/wire/redisError.ts";
import { type Member, said } from "./groupMember.ts";
import type { CheckWritable } from "./memoryGroups.ts";
import type { MemoryKeys } from "./memoryKeys.ts";
import { added, entriesOf, type MemoryPending, without } from "./memoryStream.ts";

/** One stream, and who settles when. */
interface Settling {
  readonly key: string;
  readonly member: Member;
  /** How many marks are kept. */
  readonly keep: number;
  readonly nowMs: number;
}

/** Settles deliveries in memory, as the script does. */
export class MemorySettling {
  /** What was written along with acknowledgements, in this order. */
  readonly effects: Effect[] = [];
  readonly #keys: MemoryKeys;
  readonly #checkWritable: CheckWritable;
  #batches = 0;

  constructor(keys: MemoryKeys, checkWritable: CheckWritable) {
    this.#keys = keys;
    this.#checkWritable = checkWritable;
  }

  settle(settlements: readonly Settlement[], token: string, at: Settling): readonly Outcome[] {
    const { key, member } = at;
    const { memoryOf } = groupKeys(key, member.group);
    const remembers = settlements.some(isFinal) && !settlements.every(isPlain);
    this.#checkWritable(remembers);
    const memory = memoryOf(member.consumer);
    const known = this.#keys.at(memory, "settled");
    if (remembers && known?.token === token) return known.outcomes;
    this.#keys.groupAt(key, member.group);
    this.#batches += 1;
    const outcomes = settlements.map((one) => this.#settleOne(one, at));
    if (settlements.some((one) => one.kind === "acknowledge" && one.mark !== "")) this.#forgetMarks(at);
    if (remembers) this.#keys.put(memory, { kind: "settled", token, outcomes });
    return outcomes;
  }

  /** Which of these marks are remembered. */
  processed(key: string, group: string, ids: readonly string[]): readonly boolean[] {
    const marks = this.#marksOf(key, group);
    return ids.map((id) => marks.has(id));
  }

  /** Forgets a consumer that has nothing pending. */
  leave(key: string, { group, consumer }: Member): void {
    this.#checkWritable(false);
    this.#keys.delete(groupKeys(key, group).memoryOf(consumer));
    const { pending } = this.#keys.groupAt(key, group);
    if (![...pending.values()].some((one) => one.consumer === consumer))
      said(this.#keys, key, group).forget(consumer);
  }

  #settleOne(settlement: Settlement, at: Settling): Outcome {
    const { key, member } = at;
    const { entryId } = settlement;
    const pending = this.#keys.groupAt(key, member.group).pending.get(entryId);
    if (settlement.kind === "acknowledge") {
      const { mark, effects, removes } = settlement;
      // Without anything to write, what another consumer has acknowledged meanwhile is acknowledged.
      if (pending === undefined && (mark !== "" || effects.length > 0)) return "gone";
      const marks = this.#marksOf(key, member.group);
      const isKnown = marks.has(mark);
      if (!isKnown) this.effects.push(...effects);
      if (!isKnown && mark !== "") this.#putMarks(at, [...marks, [mark, this.#batches]]);
      return this.#acknowledge(entryId, removes, at);
    }
    if (pending === undefined) return "gone";
    if (pending.consumer !== member.consumer) return "another's";
    if (settlement.kind !== "deadLetter") return this.#keep(settlement, pending, at);
    try {
      this.#add(settlement.deadLetters, settlement.fields.map(String), at.nowMs);
    } catch (error) {
      return redisErrorOf(error, "redis://fake");
    }
    return this.#acknowledge(entryId, settlement.removes, at);
  }

  #keep(
    settlement: Exclude<Settlement, { readonly kind: "acknowledge" | "deadLetter" }>,
    pending: MemoryPending,
    { key, member, nowMs }: Settling,
  ): Outcome {
    const { kind, entryId } = settlement;
    const { group: name, consumer } = member;
    if (!this.#stands(key, entryId)) {
      said(this.#keys, key, name).isAlive(consumer, nowMs);
      return "kept";
    }
    const { deliveries } = kind === "keepAlive" ? pending : settlement;
    const atMs = kind === "handBack" ? nowMs - settlement.idleMs : nowMs;
    const group = this.#keys.groupAt(key, name);
    const next = new Map(group.pending).set(entryId, { consumer, atMs, deliveries });
    this.#keys.putGroup(key, name, { ...group, pending: next });
    return "kept";
  }

  /** It leaves the stream as well, if it shall and each group has read and acknowledged it. */
  #acknowledge(entryId: string, removes: boolean, { key, member }: Settling): Outcome {
    const group = this.#keys.groupAt(key, member.group);
    const pending = new Map(group.pending);
    pending.delete(entryId);
    this.#keys.putGroup(key, member.group, { ...group, pending });
    const stream = this.#keys.streamAt(key);
    const isDone = [...stream.groups.values()].every(
      (one) => geq(ordEntryId)(one.lastDeliveredId, entryId) && !one.pending.has(entryId),
    );
    if (removes && isDone) this.#keys.put(key, { kind: "stream", stream: without(stream, entryId) });
    return "acknowledged";
  }

  #putMarks({ key, member }: Settling, marks: Iterable<readonly [string, number]>): void {
    this.#keys.put(groupKeys(key, member.group).marks, { kind: "processed", marks: new Map(marks) });
  }

  /** Of one batch those go first that come first in the alphabet, as in a sorted set. */
  #forgetMarks(at: Settling): void {
    const marks = [...this.#marksOf(at.key, at.member.group)].sort(
      ([mark, batch], [other, ofOther]) => batch - ofOther || (mark < other ? -1 : 1),
    );
    if (marks.length > at.keep) this.#putMarks(at, marks.slice(-at.keep));
  }

  #add(key: string, words: readonly string[], nowMs: number): void {
    this.#keys.checkStream(key);
    this.#keys.put(key, { kind: "stream", stream: added(this.#keys.streamAt(key), words, nowMs) });
  }

  #marksOf(key: string, group: string): ReadonlyMap<string, number> {
    return this.#keys.at(groupKeys(key, group).marks, "processed")?.marks ?? new Map();
  }

  #stands(key: string, entryId: string): boolean {
    return entriesOf(this.#keys.streamAt(key)).some((entry) => entry.entryId === entryId);
  }
}
