/** How many letters have to be added, dropped or changed to make one word of the other (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j += 1) {
      const changed = (row[j - 1] ?? 0) + (letter === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** What is longer looks like none of our names. */
const longest = 64;

/** The word that looks most like the given one. */
export function nearest(word: string, words: readonly string[]): string {
  const start = word.slice(0, longest);
  let best = { word: words[0] ?? "", distance: Number.POSITIVE_INFINITY };
  for (const next of words) {
    const apart = distance(start, next);
    if (apart < best.distance) best = { word: next, distance: apart };
  }
  return best.word;
}

/** More names than these are no help. */
const mostNames = 12;

/** What to write in the place of a word that is none of those there are: the one that looks like it, or which there are. */
export function insteadOf(word: string, words: readonly string[]): string {
  const near = nearest(word, words);
  if (distance(word.slice(0, longest), near) <= word.length / 2) return `; did you mean ${near}?`;
  return words.length <= mostNames ? `, expected one of ${words.join(", ")}` : "";
}
