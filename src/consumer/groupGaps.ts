import { leq, lt } from "fp-ts/lib/Ord.js";
import { ordEntryId } from "../event/entryId.ts";
import type { Progress } from "../redis/group/groupConnection.ts";
import type { ConsumerStatus } from "../telemetry/consumerStatus.ts";

/** Tells of what was trimmed before the group had read it, once. */
export function groupGaps(report: (status: ConsumerStatus) => void) {
  // By stream: how far Redis' count of what the group has read is behind, because of what it could not read.
  const behind = new Map<string, number>();
  // By stream: where the group was when that was told last.
  const told = new Map<string, string>();

  return (stream: string, { lastDeliveredId, entriesRead, standing }: Progress): void => {
    const { firstEntryId, lastEntryId, length, added, lastDeletedId } = standing;
    const read = lastDeliveredId === "0-0" ? 0 : entriesRead;
    // What was deleted of what the group has read, such as what it has acknowledged, is no part of what it has missed.
    const hasDeleted = lt(ordEntryId)(lastDeliveredId, lastDeletedId);
    const isCounted = added !== undefined && read !== undefined && !hasDeleted;
    if (leq(ordEntryId)(lastEntryId, lastDeliveredId)) {
      if (isCounted) behind.set(stream, added - read);
      return;
    }
    if (firstEntryId !== undefined && leq(ordEntryId)(firstEntryId, lastDeliveredId)) return;
    // Where the server does not count, what was trimmed before the beginning cannot be told from the rest.
    if (!isCounted && (lastDeliveredId === "0-0" || told.get(stream) === lastDeliveredId)) return;
    const known = behind.get(stream) ?? 0;
    const missed = isCounted ? Math.max(0, added - length - read - known) : undefined;
    if (missed === 0) return;
    if (missed !== undefined) behind.set(stream, known + missed);
    told.set(stream, lastDeliveredId);
    const before = firstEntryId ?? lastEntryId;
    report({ state: "gap", stream, after: lastDeliveredId, before, missed });
  };
}
