/** A list in parts of at most `size`. */
export function inChunks<A>(items: readonly A[], size: number): readonly (readonly A[])[] {
  const parts = Math.ceil(items.length / size);
  return Array.from({ length: parts }, (_, part) => items.slice(part * size, (part + 1) * size));
}
