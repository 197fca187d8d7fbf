/** As much as a line of a log, or the field of an entry, shall take. */
const longest = 1000;

/** What a thrown value says, which may be anything: short, and without throwing itself. */
export function reasonOf(thrown: unknown): string {
  try {
    const text = String(thrown instanceof Error ? thrown.message : thrown);
    return text.length > longest ? `${text.slice(0, longest)}…` : text;
  } catch {
    return "something was thrown that has no text";
  }
}
