import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { delayLine } from "./delayLine.ts";
import { untilRead } from "./untilRead.ts";

/** Which way bytes go: requests to the server, replies to the client. */
export type Direction = "requests" | "replies";

/** A TCP proxy on a free port of loopback, which breaks connections when told. */
export interface TcpProxy {
  readonly port: number;
  readonly uri: string;
  /** Resets every connection on both sides; returns how many there were. */
  readonly reset: () => number;
  /**
   * Lets exactly this many further bytes through, over all connections, and resets the one that carried the last;
   * with 0, the next one that would carry any. Resolves when that has happened, never if `restore` comes before.
   * One at a time in each direction.
   */
  readonly resetAfter: (bytes: number, direction: Direction) => Promise<void>;
  /** Swallows all that servers say, also on new connections, until `restore`. */
  readonly dropReplies: () => void;
  /** Swallows all in both directions and closes nothing, until `restore`; new connections get no answer. */
  readonly blackHole: () => void;
  /** Takes no new connections and resets all others, until `restore`. */
  readonly refuse: () => Promise<void>;
  /** Each chunk waits for this many ms, in order; 0: none. */
  readonly delay: (ms: number) => void;
  /** Ends every fault. Connections that have lost bytes are reset, for they cannot go on. */
  readonly restore: () => Promise<void>;
  /** New connections go to this port. */
  readonly retarget: (port: number) => void;
  /** Resets all connections and ends; resolves when all sockets are closed. */
  readonly stop: () => Promise<void>;
}

/** What is wrong now. */
interface Faults {
  swallowed: ReadonlySet<Direction>;
  delayMs: number;
  readonly traps: Record<Direction, Trap | undefined>;
}

interface Trap {
  bytesLeft: number;
  readonly sprung: () => void;
}

interface Connection {
  hasLostBytes: boolean;
  readonly reset: () => void;
  readonly closed: Promise<unknown>;
}

/** As much may wait for its delay in one direction of a connection, in bytes, before its sender has to wait. */
const mostDelayed = 16 * 1024 * 1024;

/** Starts a proxy in front of the server on that port. */
export async function startProxy(targetPort: number): Promise<TcpProxy> {
  const faults: Faults = {
    swallowed: new Set(),
    delayMs: 0,
    traps: { requests: undefined, replies: undefined },
  };
  const connections = new Set<Connection>();
  let target = targetPort;

  const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const connection = faults.swallowed.has("requests") ? unanswered(client) : join(client, target, faults);
    connections.add(connection);
    connection.closed.then(() => connections.delete(connection));
  });

  async function listen(port: number): Promise<number> {
    listener.listen(port, "127.0.0.1");
    await once(listener, "listening");
    const address = listener.address();
    if (address === null || typeof address === "string") throw new Error("no TCP address");
    return address.port;
  }

  function reset(): number {
    const open = [...connections];
    for (const connection of open) connection.reset();
    return open.length;
  }

  async function refuse(): Promise<void> {
    if (!listener.listening) return;
    const closed = once(listener, "close");
    listener.close();
    reset();
    await closed;
  }

  function endFaults(): void {
    faults.swallowed = new Set();
    faults.delayMs = 0;
    faults.traps.requests = undefined;
    faults.traps.replies = undefined;
  }

  const port = await listen(0);
  return {
    port,
    uri: `redis://127.0.0.1:${port}`,
    reset,
    resetAfter: (bytes, direction) => {
      if (faults.traps[direction] !== undefined) throw new Error(`resetAfter is on for ${direction} already`);
      return new Promise((sprung) => {
        faults.traps[direction] = { bytesLeft: bytes, sprung };
      });
    },
    dropReplies: () => {
      faults.swallowed = new Set(["replies"]);
    },
    blackHole: () => {
      faults.swallowed = new Set(["requests", "replies"]);
    },
    refuse,
    delay: (ms) => {
      faults.delayMs = ms;
    },
    restore: async () => {
      endFaults();
      for (const connection of connections) if (connection.hasLostBytes) connection.reset();
      if (!listener.listening) await listen(port);
    },
    retarget: (to) => {
      target = to;
    },
    stop: async () => {
      endFaults();
      const closed = [...connections].map((connection) => connection.closed);
      await refuse();
      await Promise.all(closed);
    },
  };
}

/** A connection that a black hole takes. */
function unanswered(client: Socket): Connection {
  client.on("error", () => {
    // Its close says the same.
  });
  client.resume();
  return { hasLostBytes: true, reset: () => resetNow(client), closed: closeOf(client) };
}

/** Joins a client to the server; the connection is over when both sockets are closed. */
function join(client: Socket, target: number, faults: Faults): Connection {
  const server = connect({ port: target, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  const connection: Connection = {
    hasLostBytes: false,
    reset: () => {
      resetNow(client);
      resetNow(server);
    },
    closed: Promise.all([closeOf(client), closeOf(server)]),
  };
  forward("requests", client, server, connection, faults);
  forward("replies", server, client, connection, faults);
  return connection;
}

/** Resets a socket, or closes it where Node cannot reset: while it connects, and once its end is on the way. */
function resetNow(socket: Socket): void {
  if (socket.connecting || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

function closeOf(socket: Socket): Promise<void> {
  return new Promise((closed) => socket.once("close", () => closed()));
}

/** Hands on what comes from one side, in order; the sender waits while the receiver is busy. */
function forward(
  direction: Direction,
  from: Socket,
  to: Socket,
  connection: Connection,
  faults: Faults,
): void {
  let isCut = false;
  const line = delayLine();
  const isBusy = () => to.writableNeedDrain || line.bytes() > mostDelayed;

  /** True if this came to nothing. */
  function isSwallowed(): boolean {
    const lost = faults.swallowed.has(direction);
    if (lost) connection.hasLostBytes = true;
    return lost || isCut || to.destroyed;
  }

  function deliver(chunk: Buffer): void {
    if (isSwallowed()) return;
    const trap = faults.traps[direction];
    if (trap === undefined || chunk.length < trap.bytesLeft) {
      if (trap !== undefined) trap.bytesLeft -= chunk.length;
      to.write(chunk);
    } else spring(trap, chunk);
  }

  function spring(trap: Trap, chunk: Buffer): void {
    faults.traps[direction] = undefined;
    isCut = true;
    to.write(chunk.subarray(0, trap.bytesLeft), async () => {
      await untilRead(to);
      connection.reset();
      trap.sprung();
    });
  }

  const flow = () => {
    if (isBusy()) from.pause();
    else if (from.isPaused()) from.resume();
  };
  from.on("data", (chunk: Buffer) => {
    line.pass(chunk.length, faults.delayMs, () => {
      deliver(chunk);
      flow();
    });
    flow();
  });
  to.on("drain", flow);
  from.on("end", () =>
    line.pass(0, faults.delayMs, () => {
      if (!isSwallowed()) to.end();
    }),
  );
  from.on("error", () => {
    // Its close says the same.
  });
  from.on("close", (hadError) => {
    if (hadError && !isSwallowed()) connection.reset();
  });
  to.on("close", line.clear);
}
