import type { Cluster, Redis } from "ioredis";
import { defer } from "rxjs";
import { rxaddError } from "../../errors/rxaddError.ts";
import { isCluster } from "../connect/topology.ts";
import { type BatchNumber, decide, stateFields, storedOf } from "./protocol.ts";
import { findingOf, type LaneKeys, type PublishPort, type PublishReply } from "./publishPort.ts";

/** When a batch counts as safe, beyond the master's own answer. */
export interface Durability {
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
  { replicas, timeoutMs, aof }: Durability,
): NonNullable<PublishPort["confirm"]> {
  async function look(keys: LaneKeys, stream: string, sequence: number): Promise<readonly unknown[]> {
    const writing = client
      .pipeline()
      .hmget(keys.state, ...stateFields)
      .type(stream)
      .hset(keys.state, "durable", sequence);
    const waiting = aof ? writing.call("WAITAOF", 1, replicas, timeoutMs) : writing.wait(replicas, timeoutMs);
    return ((await waiting.exec()) ?? []).map(([error, reply]) => {
      if (error !== null) throw error;
      return reply;
    });
  }

  async function confirm(keys: LaneKeys, upTo: BatchNumber, stream: string): Promise<PublishReply> {
    const { sequence } = upTo;
    const [fields, kind, , waited] = await look(keys, stream, sequence).catch(async (error) => {
      // ioredis learns that a slot has moved from a single command, not from such a pipeline.
      if (isCluster(client)) await client.hmget(keys.state, "sequence");
      throw error;
    });
    const at = storedOf(fields);
    const verdict = decide(at, upTo);
    // It was there once: that it would be the next one means that it is there no longer.
    if (verdict !== "known") return findingOf(verdict === "next" ? "gap" : verdict, at, kind === "stream");
    const missing = missingIn(waited, sequence);
    if (missing !== undefined) throw rxaddError("NotEnoughReplicas", `${stream}: ${missing}`);
    return { reply: "published", entryId: "", isRenewed: false };
  }

  /** What is missing in the answer of WAIT, a number, or of WAITAOF, a pair. */
  function missingIn(waited: unknown, sequence: number): string | undefined {
    const [onDisk, having = 0] = Array.isArray(waited) ? waited.map(Number) : [1, Number(waited)];
    if (onDisk === 0) {
      return `batch ${sequence} is not on the master's disk after ${timeoutMs} ms; if that stays, raise durability.timeoutMs above the time between two fsyncs`;
    }
    if (having >= replicas) return undefined;
    return `found ${having} replicas with batch ${sequence} after ${timeoutMs} ms, expected ${replicas}; the checkpoint waits for them`;
  }

  // A batch of filtered events has an entry nowhere; then only the state is looked at.
  return (keys, upTo, stream) => defer(() => confirm(keys, upTo, stream || keys.state));
}
