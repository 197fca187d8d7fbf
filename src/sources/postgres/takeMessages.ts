import type { Client } from "pg";
import { headerBytes, type Receive, ServerMessages } from "./serverMessages.ts";

/** Who takes messages of a server, each where it lies in a buffer that is written to no more. */
export interface Taker {
  /** Whether it takes messages of this kind now. */
  readonly takes: (kind: number) => boolean;
  readonly take: Receive;
  /** Told of what `take` throws, and of what is no message; nothing is of use afterwards. */
  readonly failed: (error: unknown) => void;
}

/** Kinds of messages. */
export const kinds = { copyData: 0x64, dataRow: 0x44 } as const;

/**
 * Takes messages out of what a client of `pg` reads, before its parser sees them; anything else that parser gets as ever: it
 * lets us in, answers queries, and tells of errors. To be called before the client connects.
 */
export function takeMessages(client: Client, { takes, take, failed }: Taker): void {
  const { connection } = client;
  // From the first byte on: what the parser holds of a message that it has begun could not be had back.
  connection.once(client.ssl ? "sslconnect" : "connect", () => {
    const { stream } = connection;
    const parsers = stream.listeners("data");
    const messages = new ServerMessages((kind, buffer, start, end) => {
      if (takes(kind)) take(kind, buffer, start, end);
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
