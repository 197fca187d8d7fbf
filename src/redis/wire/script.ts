import { createHash } from "node:crypto";
import { type Cluster, Command, type Redis } from "ioredis";

/** One value of a call; with its size in bytes where that is known already. */
export type Argument = string | Buffer | Sized;

interface Sized {
  readonly payload: string | Buffer;
  readonly bytes: number;
}

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

  /** What ioredis does not have to look at are the arguments beyond the keys. */
  class Call extends Command {
    readonly #args: readonly Argument[];
    #socket: object | undefined;

    constructor(keys: readonly string[], args: readonly Argument[]) {
      super("evalsha", [sha, `${keys.length}`, ...keys], { keyPrefix, replyEncoding });
      this.#args = args;
    }

    override toWritable(socket: object): string | Buffer {
      const [, ...keys] = this.args.map(String);
      const start = knownBy.has(socket) ? ["EVALSHA", sha] : ["EVAL", lua];
      this.#socket = socket;
      knownBy.add(socket);
      return encode([...start, ...keys], this.#args);
    }

    /** Its server has lost its scripts. */
    forgetServer(): void {
      if (this.#socket !== undefined) knownBy.delete(this.#socket);
    }
  }

  return async (keys, args) => {
    const call = new Call(keys, args);
    try {
      return await client.sendCommand(call);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      call.forgetServer();
      return client.sendCommand(new Call(keys, args));
    }
  };
}

/** A command in Redis' protocol, RESP. */
function encode(start: readonly string[], args: readonly Argument[]): Buffer {
  const buffers: Buffer[] = [];
  let text = `*${start.length + args.length}\r\n`;
  let isAscii = true;

  function add(value: string | Buffer, bytes: number): void {
    if (typeof value === "string") {
      if (bytes !== value.length) isAscii = false;
      text += `$${bytes}\r\n${value}\r\n`;
    } else {
      buffers.push(textBuffer(`${text}$${bytes}\r\n`), value);
      text = "\r\n";
    }
  }

  /** Text without a special character is copied, which takes half of the time. */
  const textBuffer = (some: string) => Buffer.from(some, isAscii ? "latin1" : "utf8");

  for (const value of start) add(value, Buffer.byteLength(value));
  for (const argument of args) {
    if (typeof argument === "string" || Buffer.isBuffer(argument)) add(argument, Buffer.byteLength(argument));
    else add(argument.payload, argument.bytes);
  }
  buffers.push(textBuffer(text));
  return buffers.length === 1 && buffers[0] !== undefined ? buffers[0] : Buffer.concat(buffers);
}
