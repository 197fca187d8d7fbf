import type { ChainableCommander, Cluster, Redis } from "ioredis";
import { defer } from "rxjs";
import { rxaddError } from "../../errors/rxaddError.ts";
import { isCluster } from "../connect/topology.ts";
import { type BatchNumber, decide, stateFields, storedOf } from "./protocol.ts";
import { findingOf, type LaneKeys, type PublishPort, type PublishReply } from "./publishPort.ts";
import { resultsOf } from "./transactions.ts";

/** When a batch counts as safe, beyond the master's own answer. */
export interface DurabilityOptions {
  /** So many replicas have it. */
  readonly replicas: number;
  /** How long one look waits for them, in ms; with `aof` longer than Redis waits between two fsyncs. */
  readonly timeoutMs: number;
  /** They, and the master, have it on disk: WAITAOF, which Redis has from 7.2 on, instead of WAIT. */
  readonly aof: boolean;
}

/**
 * Makes the step that waits until enough replicas have a lane up to a batch.
 *
 * WAIT speaks of what its own connection has written. So this writes a field of the producer state,
 * which comes after all that this server has of the lane, and waits for that. The sequence, read in the
 * same breath, tells whether the server is one that has lost the batch in a failover.
 */
export function confirmWith(
  client: Redis | Cluster,
  durability: DurabilityOptions,
): NonNullable<PublishPort["confirm"]> {
  const { replicas, timeoutMs } = durability;

  async function confirm(keys: LaneKeys, upTo: BatchNumber, stream: string): Promise<PublishReply> {
    const { sequence } = upTo;
    const writing = client
      .pipeline()
      .hmget(keys.state, ...stateFields)
      .type(stream)
      .hset(keys.state, "durable", sequence);
    if (keys.expiresMs !== undefined) writing.pexpire(keys.state, keys.expiresMs);
    const { replies, isOnDisk, having } = await writeAndWait(client, keys.state, writing, durability);
    const [fields, kind] = replies;
    const at = storedOf(fields);
    const verdict = decide(at, upTo);
    // It was there once: that it would be the next one means that it is there no longer.
    if (verdict !== "known") return findingOf(verdict === "next" ? "gap" : verdict, at, kind === "stream");
    if (!isOnDisk || having < replicas)
      throw rxaddError("NotEnoughReplicas", `${stream}: ${missing(isOnDisk, having, sequence)}`);
    return { reply: "published", entryId: "", isRenewed: false };
  }

  function missing(isOnDisk: boolean, having: number, sequence: number): string {
    return isOnDisk
      ? `found ${having} replicas with batch ${sequence} after ${timeoutMs} ms, expected ${replicas}; the checkpoint waits for them`
      : `batch ${sequence} is not on the master's disk after ${timeoutMs} ms; if that stays, raise durability.timeoutMs above the time between two fsyncs`;
  }

  // A batch of filtered events has an entry nowhere; then only the state is looked at.
  return (keys, upTo, stream) => defer(() => confirm(keys, upTo, stream || keys.state));
}

/** What was answered to commands, and who has what they wrote. */
interface Waited {
  readonly replies: readonly unknown[];
  /** Whether the master has it there, where that is asked for. */
  readonly isOnDisk: boolean;
  /** How many replicas have it. */
  readonly having: number;
}

/** Sends commands that write to a key and waits for the replicas on the same connection, which is all that WAIT speaks of. */
export async function writeAndWait(
  client: Redis | Cluster,
  key: string,
  writing: ChainableCommander,
  { replicas, timeoutMs, aof }: DurabilityOptions,
): Promise<Waited> {
  const waiting = aof ? writing.call("waitaof", 1, replicas, timeoutMs) : writing.wait(replicas, timeoutMs);
  try {
    const replies = resultsOf(await waiting.exec());
    const waited = replies.at(-1);
    const [onDisk, having = 0] = Array.isArray(waited) ? waited.map(Number) : [1, Number(waited)];
    return { replies, isOnDisk: onDisk !== 0, having };
  } catch (error) {
    // ioredis learns that a slot has moved from a single command, not from such a pipeline.
    if (isCluster(client)) await client.hmget(key, "sequence");
    throw error;
  }
}
