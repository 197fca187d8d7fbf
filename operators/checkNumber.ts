/** Refuses options that are no numbers within these; infinity is a number, too: as many as one likes. */
export function checkNumbers(
  operator: string,
  options: Readonly<Record<string, number>>,
  least: number,
  most: number = Number.POSITIVE_INFINITY,
): void {
  for (const [name, found] of Object.entries(options)) {
    if (typeof found === "number" && found >= least && found <= most) continue;
    const range = most === Number.POSITIVE_INFINITY ? `${least} on` : `${least} to ${most}`;
    throw new RangeError(`${operator}: ${name}: found ${shown(found)}, expected a number from ${range}`);
  }
}

/** A size that a callback has found: what is no number would make a bound of none. */
export function checkSize(operator: string, callback: string, found: number): number {
  if (typeof found === "number" && found >= 0 && found < Number.POSITIVE_INFINITY) return found;
  throw new RangeError(`${operator}: ${callback}: found ${shown(found)}, expected a number from 0 on`);
}

/** Not what it holds: that may be the user's data. */
function shown(found: unknown): string {
  return typeof found === "number" ? `${found}` : `a value of type ${typeof found}`;
}
