import type { ChainableCommander, Redis } from "ioredis";
import { defer, type Observable } from "rxjs";
import { rxaddError } from "../../errors/rxaddError.ts";
import { type Stored, stateFields, storedOf } from "./protocol.ts";
import type { LaneKeys } from "./publishPort.ts";

/** What each command of several answered. */
export type Results = readonly (readonly [Error | null, unknown])[];

/** Takes their answers; the first error is thrown. */
export function resultsOf(replies: Results | null): readonly unknown[] {
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
export interface Watched {
  /** Whether one of the streams does, the one of the dead letters apart. */
  readonly streamStands: boolean;
  readonly state: Stored | undefined;
  /** How many connections had been lost before. */
  readonly lost: number;
}

/** Transactions of one client, one at a time, each on the connection whose WATCH guards it. */
export class Transactions {
  readonly #client: Redis;
  #lost = 0;
  #tail: Promise<unknown> = Promise.resolve();

  /** @param client - its connection is used for nothing else: a WATCH belongs to the connection */
  constructor(client: Redis) {
    this.#client = client;
    client.on("close", () => {
      this.#lost += 1;
    });
  }

  /** Does something when what was asked for before is done. */
  alone<A>(task: () => Promise<A>): Observable<A> {
    return defer(() => {
      const result = this.#tail.then(task);
      this.#tail = result.catch(() => this.#client.unwatch()).catch(() => undefined);
      return result;
    });
  }

  /** Arms WATCH on a lane's state, and on streams if it is to be alone there, so that EXEC answers for what is read here. */
  async watch(
    { state, deadLetters }: LaneKeys,
    streams: readonly string[],
    isAlone = true,
  ): Promise<Watched> {
    const lost = this.#lost;
    const looking = this.#client
      .pipeline()
      .watch(state, ...(isAlone ? streams : []))
      .hmget(state, ...stateFields);
    for (const stream of streams) looking.type(stream);
    const [, fields, ...kinds] = resultsOf(await looking.exec());
    for (const [index, stream] of streams.entries()) checkType(stream, kinds[index]);
    const streamStands = streams.some((stream, index) => kinds[index] === "stream" && stream !== deadLetters);
    return { streamStands, state: storedOf(fields), lost };
  }

  /** Runs a transaction, unless the connection that was watched on is gone. */
  async commit(transaction: ChainableCommander, { lost }: Watched): Promise<Results | null> {
    if (this.#lost !== lost || this.#client.status !== "ready") {
      throw rxaddError("Contended", "the connection was lost between WATCH and EXEC; nothing was sent");
    }
    return transaction.exec();
  }
}

function checkType(key: string, kind: unknown): void {
  if (kind !== "stream" && kind !== "none") throw new Error(`WRONGTYPE ${key} holds a ${kind}`);
}
