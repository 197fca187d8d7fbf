import { createHash } from "node:crypto";
import { type Cluster, Command, type Redis } from "ioredis";
import { type Argument, encode, valuesBehind } from "./encode.ts";
import { Spares, spareBytes } from "./spares.ts";

/** A Lua script that is called by its hash, and sent in full where the server may not know it. */
export type Script = (keys: readonly string[], args: readonly Argument[]) => Promise<unknown>;

/**
 * Makes a script callable, whose answers have texts, or bytes as they stand in Redis.
 *
 * It encodes its arguments in one go. ioredis' own `defineCommand` copies them three times and measures
 * each, which for a batch of 500 events is a third of all that the process does (docs/performance.md).
 */
export function script(client: Redis | Cluster, lua: string, replies: "text" | "bytes" = "text"): Script {
  const sha = createHash("sha1").update(lua).digest("hex");
  const { keyPrefix = "" } = client.options;
  const replyEncoding = replies === "text" ? "utf8" : null;
  const knownBy = new WeakSet<object>();
  const spares = new Spares();

  /** What ioredis does not have to look at are the arguments beyond the keys. */
  class Call extends Command {
    #values: readonly Argument[];
    #socket: object | undefined;
    /** One for each time that it was written. */
    readonly #pieces: (Buffer | undefined)[] = [];

    constructor(keys: readonly string[], args: readonly Argument[]) {
      super("evalsha", [sha, `${keys.length}`, ...keys], { keyPrefix, replyEncoding });
      this.#values = args;
    }

    get values(): readonly Argument[] {
      return this.#values;
    }

    override toWritable(socket: object): string | Buffer {
      const [, ...keys] = this.args.map(String);
      const start = knownBy.has(socket) ? ["EVALSHA", sha] : ["EVAL", lua];
      this.#socket = socket;
      knownBy.add(socket);
      const command = encode([...start, ...keys, ...this.#values], (bytes) => this.#memoryOf(bytes));
      // A client may write it again when nobody waits for it any more, and its arguments are written over: in a Cluster
      // that says TRYAGAIN, after the client's own commandTimeout.
      this.#values = [valuesBehind(command, start.length + keys.length)];
      return command;
    }

    /** What is small takes too little of a piece. */
    #memoryOf(bytes: number): Buffer {
      const piece = bytes < spareBytes / 4 || bytes > spareBytes ? undefined : spares.take();
      this.#pieces.push(piece);
      return piece?.subarray(0, bytes) ?? Buffer.allocUnsafe(bytes);
    }

    /** It is answered: what was written once has been read as a whole, and nobody writes it again. */
    answered(): void {
      const [piece, ...others] = this.#pieces;
      if (piece !== undefined && others.length === 0) spares.give(piece);
    }

    /** Its server has lost its scripts. */
    forgetServer(): void {
      if (this.#socket !== undefined) knownBy.delete(this.#socket);
    }
  }

  return async (keys, args) => {
    const call = new Call(keys, args);
    try {
      const reply = await client.sendCommand(call);
      call.answered();
      return reply;
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      call.forgetServer();
      return client.sendCommand(new Call(keys, call.values));
    }
  };
}
