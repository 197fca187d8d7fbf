import type { ChainableCommander, Redis } from "ioredis";
import { defer, type Observable } from "rxjs";
import { rxaddError } from "../../errors/rxaddError.ts";
import { decide, opened, type Stored, stateFields, storedOf } from "./protocol.ts";
import {
  findingOf,
  type LaneKeys,
  type NumberedBatch,
  type OpenReply,
  type PublishPort,
  type PublishReply,
  streamsOf,
  wordsOf,
} from "./publishPort.ts";

type Results = readonly (readonly [Error | null, unknown])[];

/** What each command of a pipeline answered; the first error is thrown. */
function resultsOf(replies: Results | null): readonly unknown[] {
  if (replies === null) {
    throw rxaddError(
      "Contended",
      "another client changed the stream's producer state during the transaction",
    );
  }
  return replies.map(([error, result]) => {
    if (error !== null) throw error;
    return result;
  });
}

/** What the keys held when they were watched. */
interface Watched {
  /** Whether one of the streams does, the one of the dead letters apart. */
  readonly streamStands: boolean;
  readonly state: Stored | undefined;
}

function checkType(key: string, kind: unknown): void {
  if (kind !== "stream" && kind !== "none") throw new Error(`WRONGTYPE ${key} holds a ${kind}`);
}

function stringOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

/**
 * Publishes a batch by WATCH, MULTI, XADDs and EXEC, for servers where scripts are forbidden. It has
 * the guarantees of `scriptPort` with one batch in flight, at two round trips a batch.
 *
 * The connection must be its own: a WATCH belongs to the connection.
 */
export function multiPort(client: Redis, trimArgs?: readonly string[]): PublishPort {
  let connectionsLost = 0;
  client.on("close", () => {
    connectionsLost += 1;
  });

  /** The lanes of which a stream of their own has been seen. Batches of filtered events and dead letters go by without one. */
  const stood = new WeakSet<LaneKeys>();

  /** Runs the transaction only on the connection whose WATCH guards it. */
  async function commit(transaction: ChainableCommander, lostAtWatch: number): Promise<Results | null> {
    if (connectionsLost !== lostAtWatch || client.status !== "ready") {
      throw rxaddError("Contended", "the connection was lost between WATCH and EXEC; nothing was sent");
    }
    return transaction.exec();
  }

  /**
   * EXEC goes on after a command that is refused, such as an XADD beyond the last possible ID: neither the entries
   * around it nor the state, written all the same, may say that the batch is there.
   */
  async function takeBack(
    keys: LaneKeys,
    batch: NumberedBatch,
    before: Stored,
    ids: readonly unknown[],
  ): Promise<void> {
    const lost = connectionsLost;
    const { state } = await watch(keys, []);
    if (decide(state, batch) !== "known" || state?.sequence !== batch.sequence) return;
    const { sequence, position, ahead } = before;
    const transaction = client.multi().hset(keys.state, { sequence, position, ahead });
    for (const [index, { stream }] of batch.entries.entries()) {
      const id = ids[index];
      if (typeof id === "string") transaction.xdel(stream, id);
    }
    resultsOf(await commit(transaction, lost));
  }

  // One transaction at a time, also between lanes.
  let tail: Promise<unknown> = Promise.resolve();
  function alone<A>(task: () => Promise<A>): Observable<A> {
    return defer(() => {
      const result = tail.then(task);
      tail = result.catch(() => client.unwatch()).catch(() => undefined);
      return result;
    });
  }

  /** Arms WATCH on the keys, so that EXEC answers for what is read here. */
  async function watch(keys: LaneKeys, streams: readonly string[]): Promise<Watched> {
    const looking = client
      .pipeline()
      .watch(keys.state, ...streams)
      .hmget(keys.state, ...stateFields);
    for (const stream of streams) looking.type(stream);
    const [, fields, ...kinds] = resultsOf(await looking.exec());
    for (const [index, stream] of streams.entries()) checkType(stream, kinds[index]);
    const streamStands = streams.some(
      (stream, index) => kinds[index] === "stream" && stream !== keys.deadLetters,
    );
    return { streamStands, state: storedOf(fields) };
  }

  async function open(keys: LaneKeys, owner: string, adopt: boolean): Promise<OpenReply> {
    const lost = connectionsLost;
    const streams = [keys.stream, keys.deadLetters].filter((stream) => stream !== undefined);
    const { streamStands, state } = await watch(keys, streams);
    if (streamStands) stood.add(keys);
    else stood.delete(keys);
    const mark = keys.mark === undefined ? [] : await client.hmget(keys.mark, "epoch");
    const marked = Number(mark[0] ?? 0);
    if (state === undefined && marked > 0 && (streamStands || keys.stream === undefined) && !adopt)
      return { reply: "gone" };
    const foreignEntries = state === undefined && streamStands ? await client.xlen(keys.stream ?? "") : 0;
    const { entryId, ...next } = opened(state, owner, marked);
    const transaction = client.multi().hset(keys.state, next);
    if (keys.mark !== undefined) transaction.hset(keys.mark, { epoch: next.epoch });
    resultsOf(await commit(transaction, lost));
    const { owner: _owner, ...found } = next;
    return { reply: "opened", ...found, entryId, foreignEntries };
  }

  async function newestIn(stream: string): Promise<string> {
    const [newest] = await client.xrevrange(stream, "+", "-", "COUNT", 1);
    return newest?.[0] ?? "";
  }

  async function publish(keys: LaneKeys, batch: NumberedBatch): Promise<PublishReply> {
    const lost = connectionsLost;
    const { streamStands, state } = await watch(keys, streamsOf(keys, batch.entries));
    const last = batch.entries.findLastIndex(({ stream }) => stream !== keys.deadLetters);
    const verdict = decide(state, batch);
    if (verdict === "known") {
      const newest = batch.entries[last]?.stream;
      const [, entryId] = await Promise.all([client.unwatch(), newest === undefined ? "" : newestIn(newest)]);
      return { reply: "published", entryId, isRenewed: false };
    }
    if (verdict !== "next" || state === undefined) {
      await client.unwatch();
      return findingOf(verdict === "next" ? "missing" : verdict, state, streamStands);
    }
    const transaction = client.multi();
    for (const entry of batch.entries) transaction.xadd(entry.stream, "*", ...wordsOf(entry));
    if (trimArgs !== undefined) {
      for (const key of streamsOf(keys, batch.entries)) {
        if (key !== keys.deadLetters) transaction.call("XTRIM", [key, ...trimArgs]);
      }
    }
    // Its ID is known only after EXEC: the newest one is looked up when it is asked for.
    const { sequence, position, ahead } = batch;
    transaction.hset(keys.state, { sequence, position, ahead, entry: "" });
    const replies = await commit(transaction, lost);
    if (replies?.some(([error]) => error !== null)) {
      const ids = replies.map(([, id]) => id);
      // The state alone, where the user may not delete entries: the batch is not there as a whole.
      await takeBack(keys, batch, state, ids)
        .catch(() => takeBack(keys, batch, state, []))
        .catch(() => {});
    }
    const ids = resultsOf(replies);
    const isRenewed = !streamStands && stood.has(keys);
    if (last >= 0) stood.add(keys);
    return { reply: "published", entryId: stringOrNull(ids[last]) ?? "", isRenewed };
  }

  return {
    open: (keys, owner, adopt) => alone(() => open(keys, owner, adopt)),
    publish: (keys, batch) => alone(() => publish(keys, batch)),
  };
}
