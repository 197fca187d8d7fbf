import type { Client } from "pg";
import { headerBytes, ServerMessages } from "./serverMessages.ts";

/** Told of a piece of a copy, where it lies in a buffer that is written to no more. */
export type Copied = (buffer: Buffer, start: number, end: number) => void;

const copyData = 0x64; // d

/**
 * Takes what a server copies to us out of what a client of `pg` reads, before its parser sees it; anything else that parser
 * gets as ever: it lets us in, answers queries, and tells of errors. To be called before the client connects.
 *
 * @param failed - told of what `copied` throws, and of what is no message; nothing is of use afterwards
 */
export function takeCopies(client: Client, copied: Copied, failed: (error: unknown) => void): void {
  const { connection } = client;
  // From the first byte on: what the parser holds of a message that it has begun could not be had back.
  connection.once(client.ssl ? "sslconnect" : "connect", () => {
    const { stream } = connection;
    const parsers = stream.listeners("data");
    const messages = new ServerMessages((kind, buffer, start, end) => {
      if (kind === copyData) copied(buffer, start, end);
      else for (const parse of parsers) parse.call(stream, buffer.subarray(start - headerBytes, end));
    });
    stream.removeAllListeners("data");
    stream.on("data", (chunk: Buffer) => {
      try {
        messages.push(chunk);
      } catch (error) {
        failed(error);
      }
    });
  });
}
