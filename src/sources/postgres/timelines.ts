import type { Client } from "pg";
import { isRetryable } from "../../errors/rxaddError.ts";
import { type Lsn, lsnParts, ordLsn, placeOf } from "../../event/lsn.ts";
import { postgresErrorOf } from "./postgresError.ts";
import { placePosition, walNumber } from "./walPosition.ts";

/** The log of a server: its timelines in their order, each up to where the next one begins. */
export type Timelines = readonly { readonly id: string; readonly begins: Lsn }[];

/**
 * The timelines of a server, asked on a connection for replication. Undefined: it does not say, or it is a standby, which may come
 * to another one while it is read.
 */
export async function timelinesOf(client: Client): Promise<Timelines | undefined> {
  const ask = async (question: string) => (await client.query(question)).rows[0];
  try {
    if ((await ask("SELECT 1 WHERE pg_is_in_recovery()")) !== undefined) return undefined;
    const { systemid, timeline } = await ask("IDENTIFY_SYSTEM");
    const history = `${timeline}` === "1" ? "" : (await ask(`TIMELINE_HISTORY ${timeline}`)).content;
    return timelinesIn(`${systemid}`, `${timeline}`, `${history}`);
  } catch (error) {
    // The file of the history may have been removed, and not every server that speaks the protocol has one.
    if (isRetryable(postgresErrorOf(error, ""))) throw error;
    return undefined;
  }
}

/** Reads the history of a timeline, which tells of each earlier one its number, where it ended, and why; the first has none. */
export function timelinesIn(system: string, timeline: string, history: string): Timelines | undefined {
  const earlier = [...history.matchAll(/^\s*(\d+)\s+([\dA-F]+\/[\dA-F]+)/gim)];
  if (earlier.length === 0 && timeline !== "1") return undefined;
  const begins = ["0/0", ...earlier.map(([, , end = ""]) => end)].map((lsn) => placePosition(walNumber(lsn)));
  const numbers = [...earlier.map(([, number]) => number), timeline];
  return begins.map((from, at) => ({ id: `${system}/${numbers[at]} from ${from}`, begins: from }));
}

/** Up to where the logs of two servers are the same; undefined: the one goes on where the other is. */
export function sharedUpTo(one: Timelines, other: Timelines): Lsn | undefined {
  const longer = one.length > other.length ? one : other;
  const at = longer.findIndex((_, index) => one[index]?.id !== other[index]?.id);
  return [one[at], other[at]].flatMap((timeline) => timeline?.begins ?? []).sort(ordLsn.compare)[0];
}

/**
 * Where the transaction of a position lies, if it has to come again: a slot sends whatever was committed at the place that it is confirmed up to, or
 * behind it. Undefined: it need not. Only a slot that nobody has read since the newest timeline began, before the position, is taken at
 * its word: else who reads it may want other changes by now.
 */
export function toComeAgain(
  position: Lsn | undefined,
  confirmedLsn: string,
  log: Timelines | undefined,
): bigint | undefined {
  const begins = log?.at(-1)?.begins;
  if (position === undefined || begins === undefined) return undefined;
  // A place that was passed is that of no transaction, and rows that are read stand in one that need not come.
  if (lsnParts(position)[2] === "" || placeOf(position) !== position) return undefined;
  const [place, beginning] = [walNumber(position), walNumber(begins)];
  return walNumber(confirmedLsn) <= beginning && beginning <= place ? place : undefined;
}
