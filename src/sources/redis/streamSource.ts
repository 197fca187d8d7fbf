import { defer } from "rxjs";
import { ordEntryId } from "../../event/entryId.ts";
import type { EventAccess } from "../../event/eventAccess.ts";
import type { Positions } from "../../event/positions.ts";
import type { Source } from "../../pipeline/source.ts";
import { type StreamSourceOptions, sourceTuning } from "../../reader/readerOptions.ts";
import { readStreams } from "../../reader/readStreams.ts";

/** An entry as it stands in its stream, byte for byte. */
export interface SourceEntry {
  readonly stream: string;
  readonly entryId: string;
  /** What `XADD` was given, in its order; names and values alternate. */
  readonly content: readonly Buffer[];
}

/** Entry IDs as positions, in the order of the stream. */
export const entryPositions: Positions<string> = {
  encode: (entryId) => entryId,
  // In quotes a sink has written it that was not told of these.
  decode: (text) => /^("?)(\d+-\d+)\1$/.exec(text)?.[2],
  compare: ordEntryId.compare,
};

/**
 * How a sink reads what {@link streamSource} emits: it publishes the same fields, and keeps the entry ID as the position.
 * With `replicate` the source brings the `positions` as well.
 *
 * @example
 * ```ts
 * redisSink({ id, uri, stream, ...entryCopies });
 * ```
 */
export const entryCopies: {
  readonly positions: Positions<string>;
  readonly event: EventAccess<SourceEntry, string>;
} = {
  positions: entryPositions,
  event: {
    id: ({ entryId }) => entryId,
    position: ({ entryId }) => entryId,
    // The server's clock when it was added.
    time: ({ entryId }) => Number.parseInt(entryId, 10),
    content: ({ content }) => content,
    encode: ({ content }) => content.join(" "),
  },
};

/**
 * A Redis Stream as a source, with entry IDs as positions: for pipelines from Redis to Redis, to another server or
 * region, exactly once with `replicate`.
 *
 * - **Start** with the oldest entry, or strictly after the position that it is given.
 * - **Gaps** entries that were trimmed before they were read are told to `status`.
 * - **Memory** one read; it pauses as the sink asks for it.
 * - **Errors** and **teardown** as those of `streamEntries`. **Completion** when `until` emits.
 *
 * @example
 * ```ts
 * replicate({
 *   source: streamSource({ uri: "redis://here", stream: "orders.events" }),
 *   sink: redisSink({ id: "copy", uri: "redis://there", stream: "orders.events", ...entryCopies }),
 * }).subscribe();
 * ```
 */
export function streamSource(options: StreamSourceOptions): Source<SourceEntry, string> {
  const tuning = sourceTuning("streamSource", options);
  const entries: Source<SourceEntry, string> = (from, flow) =>
    defer(() => readStreams({ ...options, flow }, { ...tuning, from: from ?? "0-0" }, toEntry));
  return Object.assign(entries, { positions: entryPositions });
}

function toEntry({
  stream,
  entryId,
  fields,
}: Omit<SourceEntry, "content"> & { readonly fields: readonly Buffer[] | null }): SourceEntry {
  return { stream, entryId, content: fields ?? [] };
}
