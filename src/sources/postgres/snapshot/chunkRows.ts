const first = 50;
const least = 4;
const most = 20_000;
/** Bytes of rows that one piece should have. */
const goodBytes = 2 * 1024 * 1024;

/** How many rows to read next, so that a piece has a good size. */
export function nextChunkRows(
  limit?: number,
  last?: { readonly rows: readonly unknown[]; readonly bytes: number },
): number {
  if (limit === undefined || last === undefined) return first;
  if (last.rows.length === 0) return limit;
  const good = Math.floor(goodBytes / Math.max(1, last.bytes / last.rows.length));
  return Math.max(least, Math.min(most, 4 * limit, good));
}
