import type { Holding } from "./held.ts";

/** Why a delivery is set aside: the field `error` of its dead letter. */
export type DeadLetterCause = "HandlerFailed" | "EntryNotDecodable" | "DeliveredTooOften";

/** What `reason` says of a thrown value. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * The fields and values of a dead letter, alternating: those of the entry, then `error`, `reason`,
 * `stream`, `entry`, `group`, `consumer` and `deliveries`.
 */
export function deadLetterFields(
  { stream, entryId, deliveries }: Holding,
  fields: Readonly<Record<string, string>>,
  { error, reason, group, consumer }: Readonly<Record<"error" | "reason" | "group" | "consumer", string>>,
): readonly string[] {
  const why = { error, reason, stream, entry: entryId, group, consumer, deliveries: `${deliveries}` };
  return Object.entries({ ...fields, ...why }).flat();
}
