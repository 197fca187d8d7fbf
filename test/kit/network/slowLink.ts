import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A link in front of a server that lets so many bytes a second through to it, over each connection. */
export interface SlowLink {
  readonly uri: string;
  readonly stop: () => Promise<void>;
}

/** How often it lets some through, in ms. */
const stepMs = 20;

export async function startSlowLink(targetPort: number, bytesPerSecond: number): Promise<SlowLink> {
  const sockets = new Set<Socket>();
  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect({ port: targetPort, host: "127.0.0.1", noDelay: true });
    const step = setInterval(() => {
      const most = Math.min(client.readableLength, Math.ceil((bytesPerSecond * stepMs) / 1000));
      const chunk: unknown = most === 0 ? null : client.read(most);
      if (Buffer.isBuffer(chunk)) server.write(chunk);
    }, stepMs);
    client.pause();
    // Only what is asked for is read.
    client.on("readable", () => {});
    server.pipe(client);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", () => {
        // Its close says the same.
      });
      socket.on("close", () => {
        clearInterval(step);
        sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return {
    uri: `redis://127.0.0.1:${address.port}`,
    stop: async () => {
      const closed = once(listener, "close");
      listener.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
