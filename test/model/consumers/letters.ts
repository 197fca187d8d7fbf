import type { Redis } from "ioredis";
import { deadLetters } from "./consumer.ts";
import type { Item } from "./ledger.ts";
import type { History } from "./step.ts";

/** A dead letter: what stands there, why, and of which entry. */
export interface Letter {
  readonly letterId: string;
  readonly origin: string;
  readonly cause: string;
  readonly fields: readonly Buffer[];
}

/** All of them, oldest first. */
export async function lettersOf(client: Redis): Promise<readonly Letter[]> {
  const letters = await client.xrangeBuffer(deadLetters, "-", "+");
  return letters.map(([letterId, fields]) => {
    // The last of that name is ours.
    const last = (name: string) => {
      const at = fields.findLastIndex((word, index) => index % 2 === 0 && `${word}` === name);
      return `${fields[at + 1]}`;
    };
    return {
      letterId: `${letterId}`,
      origin: `${last("stream")} ${last("entry")}`,
      cause: last("error"),
      fields,
    };
  });
}

/** Throws what is not as promised. */
export function checkLetter(
  { maxDeliveries }: History,
  { stream, entryId, kind, ...item }: Item,
  { cause, fields }: Letter,
): void {
  const name = `${kind} entry ${stream} ${entryId}`;
  const fewest = maxDeliveries - item.missed;
  if (cause === "EntryNotDecodable" ? kind !== "garbage" : item.started < fewest && !item.isSetAside)
    throw new Error(`${name}: a dead letter, ${cause}, after ${item.started} of ${maxDeliveries} handlers`);
  const same = item.fields.every((word, index) => fields[index]?.equals(word));
  if (!same) throw new Error(`${name}: its dead letter is not what was in the stream`);
  if (item.isRedriven) throw new Error(`${name}: put back, and still a dead letter`);
}
