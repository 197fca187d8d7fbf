import { isRight } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import { type Lsn, placeOf } from "../../../event/lsn.ts";
import type { LogMessage, MessageTransaction } from "../pgoutput.ts";
import { walNumber } from "../walPosition.ts";
import { Conditions } from "./conditions.ts";
import { readsOf, readsText, type TableRead } from "./tableRead.ts";

/** The prefix of the messages by which rows are asked for. */
export const requestPrefix = "rxadd.backfill";

/** To the reader of a slot, for rows of a table. */
export const Request = t.strict({
  slot: t.string,
  schema: t.string,
  table: t.string,
  where: Conditions,
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
  if (prefix !== requestPrefix || transaction === undefined) return undefined;
  const found = Request.decode(parsed(content.toString()));
  if (!isRight(found) || found.right.slot !== slot) return undefined;
  const { schema, table: name, where, isAnew } = found.right;
  const read: TableRead = { schema, name, where, isAnew: isAnew && where.length === 0, after: undefined };
  return after !== undefined && isHeard(read, transaction.lsn, after) ? undefined : read;
}

/** In the middle of the transaction that has the request, the position says whether it came before. */
function isHeard(read: TableRead, lsn: Lsn, after: Lsn): boolean {
  const [asked, reached] = [walNumber(lsn), walNumber(after)];
  if (asked !== reached) return asked < reached;
  const text = readsText([read]);
  return (
    placeOf(after) === lsn ||
    (readsOf(after) ?? []).some((each) => readsText([{ ...each, after: undefined }]) === text)
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
