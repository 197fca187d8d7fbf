import type { ChainableCommander, Redis } from "ioredis";
import type { Observable } from "rxjs";
import { AddCommand } from "./addCommand.ts";
import { decide, foundBy, opened, type Stored } from "./protocol.ts";
import {
  findingOf,
  type LaneKeys,
  type NumberedBatch,
  type OpenReply,
  type PublishPort,
  type PublishReply,
  streamsOf,
} from "./publishPort.ts";
import { resultsOf, Transactions } from "./transactions.ts";
import { type Trim, trimArgs, trimOf } from "./trimming.ts";

/**
 * Publishes a batch by WATCH, MULTI, XADDs and EXEC, for servers where scripts are forbidden. It has
 * the guarantees of `scriptPort` with one batch in flight, at two round trips a batch.
 */
export class MultiPort implements PublishPort {
  readonly #client: Redis;
  readonly #trim: Trim | undefined;
  readonly #transactions: Transactions;
  /** The lanes of which a stream of their own has been seen. Batches of filtered events and dead letters go by without one. */
  readonly #stood = new WeakSet<LaneKeys>();

  /** @param client - its connection is used for nothing else */
  constructor(client: Redis, trim?: Trim) {
    this.#client = client;
    this.#trim = trim;
    this.#transactions = new Transactions(client);
  }

  open(keys: LaneKeys, owner: string, adopt: boolean): Observable<OpenReply> {
    return this.#transactions.alone(() => this.#open(keys, owner, adopt));
  }

  publish(keys: LaneKeys, batch: NumberedBatch): Observable<PublishReply> {
    return this.#transactions.alone(() => this.#publish(keys, batch));
  }

  async #open(keys: LaneKeys, owner: string, adopt: boolean): Promise<OpenReply> {
    const streams = [keys.stream, keys.deadLetters].filter((stream) => stream !== undefined);
    const watched = await this.#transactions.watch(keys, streams, false);
    const { streamStands, state } = watched;
    if (streamStands) this.#stood.add(keys);
    else this.#stood.delete(keys);
    const mark = keys.mark === undefined ? [] : await this.#client.hmget(keys.mark, "epoch");
    const marked = Number(mark[0] ?? 0);
    if (state === undefined && marked > 0 && (streamStands || keys.stream === undefined) && !adopt) {
      // Unless another writer has made both since the state was looked for.
      resultsOf(await this.#transactions.commit(this.#client.multi().hmget(keys.state, "epoch"), watched));
      return { reply: "gone" };
    }
    const foreignEntries =
      state === undefined && streamStands ? await this.#client.xlen(keys.stream ?? "") : 0;
    const { entryId, ...next } = opened(state, owner, marked);
    const transaction = this.#client.multi().hset(keys.state, next);
    if (keys.mark !== undefined) transaction.hset(keys.mark, { epoch: next.epoch });
    resultsOf(await this.#transactions.commit(transaction, watched));
    const { owner: _owner, ...found } = next;
    return { reply: "opened", ...found, entryId, foreignEntries };
  }

  async #publish(keys: LaneKeys, batch: NumberedBatch): Promise<PublishReply> {
    const streams = streamsOf(keys, batch.entries);
    // Beside many other writers EXEC would hardly ever be let through.
    const watched = await this.#transactions.watch(keys, streams, keys.expiresMs === undefined);
    const { streamStands } = watched;
    const state = foundBy(watched.state, batch, keys.expiresMs);
    const last = batch.entries.findLastIndex(({ stream }) => stream !== keys.deadLetters);
    const verdict = decide(state, batch);
    if (verdict === "known") {
      const newest = this.#newestIn(batch.entries[last]?.stream);
      const [entryId] = await Promise.all([newest, this.#client.unwatch()]);
      return { reply: "published", entryId, isRenewed: false };
    }
    if (verdict !== "next" || state === undefined) {
      await this.#client.unwatch();
      return findingOf(verdict === "next" ? "missing" : verdict, state, streamStands);
    }
    const replies = await this.#transactions.commit(this.#adding(keys, batch, streams), watched);
    if (replies?.some(([error]) => error !== null)) {
      const ids = replies.map(([, id]) => id);
      // The state alone, where the user may not delete entries: the batch is not there as a whole.
      await this.#takeBack(keys, batch, state, ids)
        .catch(() => this.#takeBack(keys, batch, state, []))
        .catch(() => {});
    }
    const id = resultsOf(replies)[last];
    const isRenewed = !streamStands && this.#stood.has(keys);
    if (last >= 0) this.#stood.add(keys);
    return { reply: "published", entryId: typeof id === "string" ? id : "", isRenewed };
  }

  /** The transaction of a batch: its entries, what is trimmed for them, and the state. */
  #adding(keys: LaneKeys, batch: NumberedBatch, streams: readonly string[]) {
    const { entries, sequence, position, ahead } = batch;
    // ioredis' types do not say that a command may be made by the caller.
    const transaction = this.#client.multi() as ChainableCommander & Pick<Redis, "sendCommand">;
    for (const entry of entries) transaction.sendCommand(new AddCommand(this.#client, entry));
    for (const key of streams) {
      const trim = trimOf(this.#trim, key, keys.deadLetters);
      if (trim !== undefined) transaction.call("xtrim", [key, ...trimArgs(trim)]);
    }
    if (keys.expiresMs !== undefined) {
      const { owner, epoch } = batch;
      transaction.hset(keys.state, { owner, epoch }).pexpire(keys.state, keys.expiresMs);
    }
    // Its ID is known only after EXEC: the newest one is looked up when it is asked for.
    return transaction.hset(keys.state, { sequence, position, ahead, entry: "" });
  }

  /**
   * EXEC goes on after a command that is refused, such as an XADD beyond the last possible ID: neither the entries
   * around it nor the state, written all the same, may say that the batch is there.
   */
  async #takeBack(
    keys: LaneKeys,
    batch: NumberedBatch,
    { sequence, position, ahead }: Stored,
    ids: readonly unknown[],
  ): Promise<void> {
    const watched = await this.#transactions.watch(keys, []);
    const { state } = watched;
    if (decide(state, batch) !== "known" || state?.sequence !== batch.sequence) return;
    const transaction = this.#client.multi().hset(keys.state, { sequence, position, ahead });
    for (const [index, { stream }] of batch.entries.entries()) {
      const id = ids[index];
      if (typeof id === "string") transaction.xdel(stream, id);
    }
    resultsOf(await this.#transactions.commit(transaction, watched));
  }

  async #newestIn(stream: string | undefined): Promise<string> {
    const [newest] = stream === undefined ? [] : await this.#client.xrevrange(stream, "+", "-", "COUNT", 1);
    return newest?.[0] ?? "";
  }
}
