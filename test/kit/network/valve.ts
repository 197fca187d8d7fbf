import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { Direction } from "./tcpProxy.ts";

/** A TCP proxy that can hold what goes through it, as a network or a frozen process does, and let it go later. */
export interface Valve {
  readonly port: number;
  /** Keeps what comes from now on in this direction. */
  readonly hold: (direction: Direction) => void;
  /** Lets everything through that was held, in its order, and all that comes after it. */
  readonly release: () => void;
  /** How many bytes are held now. */
  readonly held: () => number;
  /** Resets the clients' side; what was held for the server still gets there once it is released. */
  readonly cut: () => void;
  /** New connections go to this port. */
  readonly retarget: (port: number) => void;
  /** Resets all connections, drops what is held, and ends. */
  readonly stop: () => Promise<void>;
}

/** One way of one connection. */
interface Pipe {
  readonly release: () => void;
  readonly held: () => number;
}

/** Starts one in front of the server on that port of loopback. */
export async function startValve(targetPort: number): Promise<Valve> {
  const shut = new Set<Direction>();
  const pipes = new Set<Pipe>();
  const sockets = new Set<Socket>();
  const clients = new Set<Socket>();
  let target = targetPort;

  const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const server = connect({ port: target, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    clients.add(client);
    client.once("close", () => clients.delete(client));
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", () => {
        // Its close says the same.
      });
      socket.once("close", () => sockets.delete(socket));
    }
    pipes.add(pipe("requests", client, server));
    pipes.add(pipe("replies", server, client));
  });

  /** Passes on bytes, and the end of them, unless that is held. */
  function pipe(direction: Direction, from: Socket, to: Socket): Pipe {
    let waiting: Buffer[] = [];
    let hasEnded = false;
    const isHeld = () => shut.has(direction) || waiting.length > 0;

    function end(): void {
      hasEnded = true;
      if (isHeld()) return;
      to.destroy();
      pipes.delete(self);
    }

    from.on("data", (chunk: Buffer) => {
      if (isHeld()) waiting.push(chunk);
      else to.write(chunk);
    });
    from.once("close", end);
    from.once("end", end);
    const self: Pipe = {
      release: () => {
        const chunks = waiting;
        waiting = [];
        for (const chunk of chunks) if (!to.destroyed) to.write(chunk);
        if (!hasEnded) return;
        // What was written gets there before the end does.
        to.end(() => to.destroy());
        pipes.delete(self);
      },
      held: () => waiting.reduce((bytes, { length }) => bytes + length, 0),
    };
    return self;
  }

  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("no TCP address");

  return {
    port: address.port,
    hold: (direction) => shut.add(direction),
    release: () => {
      shut.clear();
      for (const { release } of [...pipes]) release();
    },
    held: () => [...pipes].reduce((bytes, { held }) => bytes + held(), 0),
    cut: () => {
      for (const client of clients) {
        if (client.connecting || client.writableEnded) client.destroy();
        else client.resetAndDestroy();
      }
    },
    retarget: (port) => {
      target = port;
    },
    stop: async () => {
      const closed = once(listener, "close");
      listener.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
