import type { Redis } from "ioredis";

/** What one Sentinel says of a master and of all that belongs to it. */
export interface SentinelView {
  readonly master: Fields;
  readonly replicas: readonly Fields[];
  readonly sentinels: readonly Fields[];
}

/** Such as flags, port or master-link-status. */
export type Fields = ReadonlyMap<string, string>;

/** Asks a Sentinel. */
export async function viewOf(sentinel: Redis, name: string): Promise<SentinelView> {
  const ask = (what: string) => sentinel.call("SENTINEL", what, name);
  const [master, replicas, sentinels] = await Promise.all(["MASTER", "REPLICAS", "SENTINELS"].map(ask));
  return {
    master: fieldsOf(master),
    replicas: listOf(replicas).map(fieldsOf),
    sentinels: listOf(sentinels).map(fieldsOf),
  };
}

/** What is still wrong in the eyes of a Sentinel, if the replicas on these ports are to be its master's. */
export function wrongIn({ master, replicas, sentinels }: SentinelView, ports: readonly number[]) {
  if (master.get("flags") !== "master") return `the master is ${master.get("flags")}`;
  const lost = sentinels.find((other) => other.get("flags") !== "sentinel");
  if (lost !== undefined) return `the Sentinel ${lost.get("port")} is ${lost.get("flags")}`;
  for (const port of ports) {
    const replica = replicas.find((other) => other.get("port") === `${port}`);
    if (replica === undefined) return `the replica ${port} is not known`;
    if (replica.get("flags") !== "slave") return `the replica ${port} is ${replica.get("flags")}`;
    if (replica.get("master-port") !== master.get("port")) return `the replica ${port} has another master`;
    if (replica.get("master-link-status") !== "ok") return `the replica ${port} has lost its master`;
  }
  return undefined;
}

function listOf(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw new Error(`expected a list, got ${reply}`);
  return reply;
}

/** Names and values come in turns. */
function fieldsOf(reply: unknown): Fields {
  const texts = listOf(reply).map(String);
  return new Map(
    texts.flatMap((name, index) => (index % 2 === 0 ? [[name, texts[index + 1] ?? ""] as const] : [])),
  );
}
