import type { Word } from "../reader/streamEntry.ts";
import { letterFields, mostLetterWords } from "../redis/group/letterScripts.ts";
import type { Holding } from "./holding.ts";

/** Why a delivery is set aside: the field `error` of its dead letter. */
export type DeadLetterCause = "HandlerFailed" | "EntryNotDecodable" | "DeliveredTooOften";

/**
 * The names and values of a dead letter: those of the entry as they stand there, then as its last seven fields `error`,
 * `reason`, `stream`, `entry`, `group`, `consumer` and `deliveries`, whatever the entry's own are called.
 *
 * Those of an entry that has more than 3,500 fields stand in one field `content`, as a list in Redis' protocol.
 */
export function deadLetterFields(
  { stream, entryId, deliveries, content }: Pick<Holding, "stream" | "entryId" | "deliveries" | "content">,
  { error, reason, group, consumer }: Readonly<Record<"error" | "reason" | "group" | "consumer", string>>,
): readonly Word[] {
  const why = { error, reason, stream, entry: entryId, group, consumer, deliveries: `${deliveries}` };
  const own = content.length > mostLetterWords ? ["content", listOf(content)] : content;
  return [...own, ...letterFields.flatMap((name) => [name, why[name]])];
}

/** Words as Redis' protocol has them. */
function listOf(words: readonly Word[]): Buffer {
  const ends = Buffer.from("\r\n");
  const parts = words
    .map((word) => Buffer.from(word))
    .flatMap((word) => [Buffer.from(`$${word.length}\r\n`), word, ends]);
  return Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts]);
}
