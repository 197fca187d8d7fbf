import { Command, type Redis } from "ioredis";
import { encode } from "../wire/encode.ts";
import type { EntryContent } from "./publishPort.ts";

/** XADD of an entry, whose bytes are sent as they are. */
export class AddCommand extends Command {
  readonly #content: EntryContent;

  constructor({ options: { keyPrefix = "" } }: Redis, content: EntryContent) {
    super("xadd", [content.stream, "*"], { keyPrefix, replyEncoding: "utf8" });
    this.#content = content;
  }

  override toWritable(): Buffer {
    const name = this.#content.words === 1 ? ["event"] : [];
    return encode(["XADD", ...this.args.map(String), ...name, this.#content]);
  }
}
