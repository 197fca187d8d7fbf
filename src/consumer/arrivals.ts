import { isLeft } from "fp-ts/lib/Either.js";
import { rxaddError } from "../errors/rxaddError.ts";
import type { DecodeEntry } from "../reader/decodeEntry.ts";
import type { PendingEntry, RawEntry } from "../redis/wire/entryReplies.ts";
import type { ConsumerParts } from "./consumerParts.ts";
import type { DeadLetterCause } from "./deadLetterFields.ts";
import { type Delivery, settledBy } from "./delivery.ts";
import type { Arrived } from "./groupReader.ts";
import { Holding } from "./holding.ts";
import type { GroupSettler } from "./settler.ts";
import { unsureStarts } from "./unsureStarts.ts";

/** Makes deliveries of what was read; what cannot be one is set aside. */
export class Arrivals<E> {
  readonly #parts: ConsumerParts;
  readonly #settler: GroupSettler;
  readonly #decode: DecodeEntry<E>;

  constructor(parts: ConsumerParts, settler: GroupSettler, decode: DecodeEntry<E>) {
    this.#parts = parts;
    this.#settler = settler;
    this.#decode = decode;
  }

  receive(arrived: Arrived): readonly Delivery<E>[] {
    const { reporter } = this.#parts;
    reporter.reached();
    const received: Delivery<E>[] = [];
    if (arrived.kind === "new") for (const entry of arrived.entries) this.#deliver(entry, 0, received);
    else this.#takeAgain(arrived.entries, received);
    if (received.length > 0) reporter.delivered?.(received.length);
    return received;
  }

  #takeAgain(entries: readonly PendingEntry[], received: Delivery<E>[]): void {
    const { held, reporter } = this.#parts;
    const deleted = new Map<string, string[]>();
    for (const entry of entries) {
      const { stream, entryId, fields } = entry;
      // It may be at work here.
      if (held.knows(stream, entryId)) continue;
      if (fields === null) {
        this.#dismiss(stream, entryId);
        deleted.set(stream, [...(deleted.get(stream) ?? []), entryId]);
      } else this.#deliver(entry, entry.deliveries, received);
    }
    for (const [stream, entryIds] of deleted) reporter.report({ state: "deleted", stream, entryIds });
  }

  /** Acknowledges what nobody can handle. */
  #dismiss(stream: string, entryId: string): void {
    const { settlements } = this.#parts;
    const plain = { mark: "", effects: [], removes: false, keep: 0, done: () => {} };
    settlements.ask({ kind: "acknowledge", stream, entryId, ...plain });
  }

  /** @param counted - how often Redis says that it was started */
  #deliver(entry: RawEntry, counted: number, received: Delivery<E>[]): void {
    const { tuning, held, consumption } = this.#parts;
    if (consumption.failure !== undefined) return;
    const { deadLetters, maxDeliveries } = tuning;
    const decoded = this.#decode(entry.fields ?? []);
    if (isLeft(decoded)) {
      this.#setAside(entry, counted, "EntryNotDecodable", decoded.left);
    } else if (deadLetters !== undefined && counted - unsureStarts(counted) >= maxDeliveries) {
      const reason = `delivered ${counted} times: its consumers died or hung`;
      this.#setAside(entry, counted, "DeliveredTooOften", reason);
    } else {
      const { stream, entryId } = entry;
      const { fields, content, event } = decoded.right;
      const holding = new Holding(entry, content, counted, this.#settler);
      const { deliveries } = holding;
      held.add(holding);
      received.push({ stream, entryId, fields, content, event, deliveries, [settledBy]: holding });
    }
  }

  #setAside(entry: RawEntry, counted: number, cause: DeadLetterCause, reason: string): void {
    const { tuning, held, consumption } = this.#parts;
    const { stream, entryId } = entry;
    if (tuning.deadLetters === undefined) {
      consumption.fail(
        rxaddError(
          "EntryNotDecodable",
          `${stream}: entry ${entryId} cannot be decoded: ${reason}: set deadLetters, or mend the codec`,
        ),
      );
      return;
    }
    const holding = new Holding(entry, entry.fields ?? [], counted, this.#settler);
    held.add(holding);
    this.#settler.setAside(holding, { cause, reason, removes: false }, tuning.deadLetters.stream, {
      next: (outcome) => {
        if (!(outcome instanceof Error)) return;
        held.remove(holding);
        consumption.fail(outcome);
      },
    });
  }
}
