import { postgresError } from "../postgresError.ts";
import { Condition } from "./conditions.ts";

const part =
  /\s*(?:"((?:[^"]|"")+)"|([a-z_]\w*))\s*(=|<>|<=|>=|<|>)\s*(?:'((?:[^']|'')*)'|(-?\d+(?:\.\d+)?)|(true|false))\s*(?:(and)\s|$)/iy;

/**
 * Reads conditions as SQL writes them: `status = 'open' and id > 100`. No other SQL: whoever may write into the log is not
 * to run it as the one who reads.
 */
export function conditionsOf(where: string): readonly Condition[] {
  const conditions: Condition[] = [];
  part.lastIndex = 0;
  for (let isOpen = true; isOpen; ) {
    const at = part.lastIndex;
    const [, quoted, plain, comparison, text, number, truth, and] =
      part.exec(where) ?? refuse(where.slice(at));
    const column = quoted?.replaceAll('""', '"') ?? plain?.toLowerCase() ?? "";
    const value = text?.replaceAll("''", "'") ?? number ?? truth ?? "";
    const condition = [column, comparison, value];
    if (!Condition.is(condition)) return refuse(where.slice(at));
    conditions.push(condition);
    isOpen = and !== undefined;
  }
  return conditions;
}

function refuse(found: string): never {
  throw postgresError(
    "NotConfigured",
    `where: found ${JSON.stringify(found.slice(0, 40))}, expected conditions such as status = 'open' and id > 100: columns, one of = <> < <= > >=, and text, a number, true or false`,
  );
}
