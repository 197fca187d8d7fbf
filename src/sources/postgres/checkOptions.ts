import { nothingToReadProblem } from "./nothingToRead.ts";
import { postgresError } from "./postgresError.ts";
import type { SnapshotChoice } from "./prepare.ts";

const snapshots: ReadonlySet<SnapshotChoice> = new Set(["never", "onDemand", "initial"]);

/** Refuses names that PostgreSQL would cut short, or report with less to go by. */
export function checkOptions({
  slot,
  publication,
  tables,
  messages,
  snapshot = "never",
  snapshotConnections = 1,
}: {
  readonly slot: string;
  readonly publication: string;
  readonly tables: readonly string[] | undefined;
  readonly messages: readonly string[] | undefined;
  readonly snapshot?: SnapshotChoice;
  readonly snapshotConnections?: number;
}): void {
  const problem = nothingToReadProblem({ tables, messages });
  if (problem !== undefined) throw postgresError("NotConfigured", problem);
  if (!/^[a-z0-9_]{1,63}$/.test(slot)) {
    refuse("slot", slot, "up to 63 lower-case letters, digits and underscores");
  }
  if (publication === "" || Buffer.byteLength(publication) > 63) {
    refuse("publication", publication, "a name of 1 to 63 bytes");
  }
  if (!snapshots.has(snapshot)) refuse("snapshot", snapshot, "never, onDemand or initial");
  if (!Number.isInteger(snapshotConnections) || snapshotConnections < 1)
    refuse("snapshotConnections", snapshotConnections, "a whole number from 1 on");
  for (const table of tables ?? []) {
    if (!/^[^.]+\.[^.]+$/.test(table)) refuse("tables", table, "schema.table");
  }
  if (messages !== undefined && !Array.isArray(messages)) refuse("messages", messages, "a list of prefixes");
  for (const prefix of messages ?? []) {
    if (/^rxadd\./.test(prefix)) refuse("messages", prefix, "another prefix: those with rxadd. are our own");
  }
}

function refuse(option: string, found: unknown, expected: string): never {
  throw postgresError("NotConfigured", `${option}: found ${JSON.stringify(found)}, expected ${expected}`);
}
