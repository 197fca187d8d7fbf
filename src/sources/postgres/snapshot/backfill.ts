import { isRight } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import type { Lsn } from "../../../event/lsn.ts";
import type { LogMessage, MessageTransaction } from "../pgoutput.ts";
import { walNumber } from "../walPosition.ts";
import { Conditions } from "./conditions.ts";
import { readsOf, readsText, type TableRead } from "./tableRead.ts";

/** The prefix of the messages by which rows are asked for. */
export const requestPrefix = "rxadd.backfill";

/** The longest text of conditions: it stands in each position until its rows are read. */
export const maxWhere = 1_000;
/** More than JSON makes of that, and of all names. */
const maxContent = 10 * maxWhere;

/** What a name and a text may be made of: anybody writes into the log, and PostgreSQL ends SQL at a zero byte. */
const valid = /^[^\0\p{Surrogate}]*$/u;
const isName = (text: string) => text !== "" && Buffer.byteLength(text) <= 63 && valid.test(text);
const Name = t.refinement(t.string, isName);

/** To the reader of a slot, for rows of a table. */
export const Request = t.strict({
  slot: t.string,
  schema: Name,
  table: Name,
  where: t.refinement(
    Conditions,
    (where) => where.flat().every((text) => valid.test(text)) && where.flat().join().length <= 2 * maxWhere,
  ),
  isAnew: t.boolean,
});

/**
 * The rows that a message asks the reader of this slot for, unless it has been heard.
 *
 * @param after - what reading goes on after
 */
export function requestIn(
  { prefix, content }: LogMessage,
  slot: string,
  transaction: MessageTransaction | undefined,
  after: Lsn | undefined,
): TableRead | undefined {
  if (prefix !== requestPrefix || transaction === undefined || content.length > maxContent) return undefined;
  const found = Request.decode(parsed(content.toString()));
  if (!isRight(found) || found.right.slot !== slot) return undefined;
  const { schema, table: name, where, isAnew } = found.right;
  const isWhole = where.length === 0;
  const read: TableRead = { schema, name, scope: where, isAnew: isAnew && isWhole, after: undefined };
  return after !== undefined && isHeard(read, transaction.lsn, after) ? undefined : read;
}

/** In the middle of the transaction that has the request, or before it, the position says whether it was heard. */
function isHeard(read: TableRead, lsn: Lsn, after: Lsn): boolean {
  const [asked, reached] = [walNumber(lsn), walNumber(after)];
  if (asked !== reached) return asked < reached;
  const text = readsText([read]);
  return (readsOf(after) ?? []).some((each) => readsText([each]) === text);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
