import type { BatchOptions } from "../../../operators/batch.ts";
import type { Batch, Entry } from "../encode/entry.ts";

/** The entries of each stream, in their order. */
export function sharesOf<P>(gathered: Batch<P>): ReadonlyMap<string, Batch<P>> {
  const shares = new Map<string, Entry<P>[]>();
  for (const entry of gathered) {
    const { stream } = entry;
    const share = shares.get(stream);
    if (share === undefined) shares.set(stream, [entry]);
    else share.push(entry);
  }
  return shares;
}

/**
 * Most shares fit into one batch. Others are cut where no transaction is split, but for one that is itself too large.
 * They are whole already: the transaction's last event may be in another stream's share.
 */
export function batchesOf<P>(
  share: Batch<P>,
  {
    maxItems = share.length,
    maxBytes = Number.POSITIVE_INFINITY,
    maxTransactionItems = share.length,
    maxTransactionBytes = Number.POSITIVE_INFINITY,
  }: BatchOptions<Entry<P>>,
): readonly Batch<P>[] {
  const bytes = share.reduce((sum, { bytes }) => sum + bytes, 0);
  if (share.length <= maxItems && bytes <= maxBytes) return [share];

  const batches: Batch<P>[] = [];
  let open: Entry<P>[] = [];
  let openBytes = 0;
  // Where the newest transaction in `open` begins, and how many bytes stand before it.
  let boundary = 0;
  let boundaryBytes = 0;
  for (const entry of share) {
    const isWithin = entry.transaction !== undefined && entry.transaction.id === open.at(-1)?.transaction?.id;
    const isTooLarge =
      open.length - boundary >= maxTransactionItems || openBytes - boundaryBytes >= maxTransactionBytes;
    if (!isWithin || isTooLarge) {
      boundary = open.length;
      boundaryBytes = openBytes;
    }
    if (boundary > 0 && (open.length >= maxItems || openBytes + entry.bytes > maxBytes)) {
      batches.push(open.slice(0, boundary));
      open = open.slice(boundary);
      openBytes -= boundaryBytes;
      boundary = 0;
      boundaryBytes = 0;
    }
    open.push(entry);
    openBytes += entry.bytes;
  }
  return open.length > 0 ? [...batches, open] : batches;
}
