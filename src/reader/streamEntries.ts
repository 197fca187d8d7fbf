import { isLeft } from "fp-ts/lib/Either.js";
import { defer, type Observable } from "rxjs";
import { rxaddError } from "../errors/rxaddError.ts";
import type { RawEntry } from "../redis/wire/entryReplies.ts";
import { decodeEntry } from "./decodeEntry.ts";
import type { StreamEntriesOptions } from "./readerOptions.ts";
import { entriesTuning } from "./readerOptions.ts";
import { readStreams } from "./readStreams.ts";
import type { StreamEntry } from "./streamEntry.ts";

/**
 * Reads streams without a group: every subscriber gets every entry.
 *
 * ```
 * stream    ab-----c-d--
 * entries   -------c-d--      from "$"
 * ```
 *
 * - **Delivery** each entry once and in order, from where it began; after a lost connection it goes on after the last
 *   one it emitted. Nothing is missed between two reads.
 * - **Gaps** if entries were trimmed before they were read, the status says so.
 * - **Memory** one read, `count` entries a stream; while `flow` says pause none of them comes.
 * - **Misuse** throws `ConfigurationInvalid` at once, with all that is wrong with the options.
 * - **Errors** an {@link RxaddError} that says what to do; `EntryNotDecodable` for an entry that `decode` or `codec` refuses.
 * - **Completion** never by itself; at once when `until` emits.
 * - **Teardown** closes the connections at once.
 *
 * @example
 * ```ts
 * streamEntries<Order>({ uri: "redis://localhost", stream: ["orders.events", "returns.events"] })
 *   .subscribe(({ stream, entryId, event }) => console.log(stream, entryId, event.id));
 * ```
 */
export function streamEntries<E = unknown>(options: StreamEntriesOptions<E>): Observable<StreamEntry<E>> {
  const tuning = entriesTuning(options);
  const decode = decodeEntry<E>(options);

  function toEntry({ stream, entryId, fields: raw }: RawEntry): StreamEntry<E> {
    const decoded = decode(raw ?? []);
    if (!isLeft(decoded)) {
      const { fields, content, event } = decoded.right;
      return { stream, entryId, fields, content, event };
    }
    throw rxaddError(
      "EntryNotDecodable",
      `${stream}: entry ${entryId} cannot be decoded: ${decoded.left}: mend the codec, or read from there on`,
    );
  }

  return defer(() => readStreams(options, tuning, toEntry));
}
