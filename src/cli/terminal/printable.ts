/** What could move a terminal's cursor, recolour or reorder what it shows, or make a line of its own. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
/** The same without the ends of lines and the tabs that are meant. */
const unprintableInLines = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * A text from whoever made it, on one line and without control characters, which stand there as `\u001b`: for everything
 * that people see.
 */
export function printable(text: string): string {
  return text.replace(unprintable, escaped);
}

/** The same of several lines. What is JSON stays JSON, and says the same. */
export function printableLines(text: string): string {
  return text.replace(unprintableInLines, escaped);
}

/** As in JSON: a character beyond 16 bits takes two. */
function escaped(character: string): string {
  return Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`,
  ).join("");
}
