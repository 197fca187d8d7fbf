import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type RedisServer, startRedis } from "../servers/redisServer.ts";
import { waitUntil } from "../time/waitUntil.ts";
import { startProxy, type TcpProxy } from "./tcpProxy.ts";

let server: RedisServer;
let proxy: TcpProxy;
const clients: Socket[] = [];

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());
beforeEach(async () => {
  await server.client.flushall();
  proxy = await startProxy(server.port);
});
afterEach(async () => {
  await proxy.stop();
  for (const client of clients.splice(0)) client.destroy();
});

/** Puts a server of bare TCP behind the proxy. */
async function retargetTo(take: (socket: Socket) => void) {
  const bare = createServer(take).listen(0, "127.0.0.1");
  onTestFinished(() => {
    bare.close();
  });
  await once(bare, "listening");
  const address = bare.address();
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  proxy.retarget(address.port);
}

/** A client of bare TCP, which keeps what it hears. */
async function dial(port = proxy.port) {
  const socket = connect(port, "127.0.0.1");
  clients.push(socket);
  const heard: Buffer[] = [];
  let error: NodeJS.ErrnoException | undefined;
  socket.on("data", (chunk) => heard.push(chunk));
  socket.on("error", (cause) => {
    error = cause;
  });
  await once(socket, "connect");
  return {
    say: (text: string | Buffer) => socket.write(text),
    heard: () => Buffer.concat(heard).toString(),
    hears: (text: string) => waitUntil(() => Buffer.concat(heard).toString() === text),
    isReset: () => waitUntil(() => error?.code === "ECONNRESET" && socket.closed),
    isOpen: () => !socket.closed && !socket.readableEnded,
    socket,
  };
}

describe("startProxy", () => {
  it("hands on requests and replies of any size", async () => {
    const client = new Redis(proxy.uri);
    const value = Buffer.alloc(20_000_000, "0123456789");

    await client.set("big", value);

    expect((await client.getBuffer("big"))?.equals(value)).toBe(true);
    await client.quit();
  });

  it("makes a fast sender wait for a slow receiver, and loses nothing", async () => {
    let slow: Socket | undefined;
    let received = 0;
    await retargetTo((socket) => {
      slow = socket.pause();
      socket.on("error", () => {
        // Reset at the end.
      });
      socket.on("data", (chunk) => {
        received += chunk.length;
      });
    });
    const client = await dial();
    const chunk = Buffer.alloc(1_000_000);
    const chunks = 100;
    let accepted = 0;

    for (let sent = 0; sent < chunks; sent += 1) {
      client.socket.write(chunk, () => {
        accepted += 1;
      });
    }
    let before = 0;
    await waitUntil(() => {
      const stands = accepted > 0 && accepted === before;
      before = accepted;
      return stands;
    }, 300);

    // What the system's own buffers take, here and behind the proxy.
    expect(accepted).toBeLessThan(chunks / 2);
    slow?.resume();
    await waitUntil(() => received === chunks * chunk.length);
  });

  it("resets every connection and counts them", async () => {
    const connected = [await dial(), await dial()];
    for (const client of connected) client.say("PING\r\n");
    for (const client of connected) await client.hears("+PONG\r\n");

    expect(proxy.reset()).toBe(2);

    for (const client of connected) await client.isReset();
    expect(proxy.reset()).toBe(0);
  });

  it.each([0, 1, 7, 1000, 65_536, 300_000])("resets after exactly %i bytes of requests", async (bytes) => {
    const received: number[] = [];
    const endings: string[] = [];
    await retargetTo((socket) => {
      socket.on("data", (chunk) => received.push(chunk.length));
      socket.on("error", (error: NodeJS.ErrnoException) => endings.push(error.code ?? ""));
    });
    const client = await dial();

    const happened = proxy.resetAfter(bytes, "requests");
    client.say(Buffer.alloc(1000));
    client.say(Buffer.alloc(300_000));
    await happened;

    await client.isReset();
    await waitUntil(() => endings.length > 0);
    expect(endings).toEqual(["ECONNRESET"]);
    expect(received.reduce((sum, length) => sum + length, 0)).toBe(bytes);
  });

  it("leaves the server with half a command, and goes on with the next connection", async () => {
    const client = await dial();
    const happened = proxy.resetAfter(20, "requests");

    client.say("SET first 1\r\nSET second 2\r\n");
    await happened;
    await client.isReset();
    const next = await dial();
    next.say("PING\r\n");
    await next.hears("+PONG\r\n");

    expect(await server.client.mget("first", "second")).toEqual(["1", null]);
  });

  it.each([0, 3, 5])("hands on exactly %i bytes of replies to what the server has done", async (bytes) => {
    const client = await dial();
    const happened = proxy.resetAfter(bytes, "replies");

    client.say("SET a 1\r\n");
    await happened;
    await client.isReset();

    expect(client.heard()).toBe("+OK\r\n".slice(0, bytes));
    expect(await server.client.get("a")).toBe("1");
  });

  it("drops replies, and resets at the end who missed one", async () => {
    const bystander = await dial();
    const client = await dial();

    proxy.dropReplies();
    client.say("SET a 1\r\n");
    const late = await dial();
    late.say("SET b 1\r\n");
    await waitUntil(async () => (await server.client.dbsize()) === 2);
    await proxy.restore();

    await client.isReset();
    await late.isReset();
    expect(client.heard() + late.heard()).toBe("");
    bystander.say("PING\r\n");
    await bystander.hears("+PONG\r\n");
  });

  it("swallows all in a black hole and closes nothing until it is restored", async () => {
    const bystander = await dial();
    bystander.say("PING\r\n");
    // Joined to the server, not only to the proxy.
    await bystander.hears("+PONG\r\n");
    const client = await dial();

    proxy.blackHole();
    client.say("SET a 1\r\n");
    const late = await dial();
    late.say("SET b 1\r\n");
    await server.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    // The server has closed all before it answered: then the proxy hears of that in this turn at the latest.
    await turn();
    expect([client, late, bystander].every(({ isOpen }) => isOpen())).toBe(true);
    await proxy.restore();

    for (const lost of [client, late, bystander]) await lost.isReset();
    expect(await server.client.dbsize()).toBe(0);
    const next = await dial();
    next.say("PING\r\n");
    await next.hears("+PONG\r\n");
  });

  it("delays what it hands on in both directions", async () => {
    const client = await dial();
    const begin = performance.now();

    proxy.delay(50);
    client.say("PING\r\n");
    await client.hears("+PONG\r\n");

    expect(performance.now() - begin).toBeGreaterThan(98);
  });

  it("keeps the order when the delay changes", async () => {
    const client = await dial();
    const numbers = Array.from({ length: 300 }, (_, n) => n);

    for (const n of numbers) {
      proxy.delay((n % 4) * 3);
      client.say("INCR n\r\n");
      await turn();
    }

    await client.hears(numbers.map((n) => `:${n + 1}\r\n`).join(""));
  });

  it("refuses connections until it is restored, on the same port", async () => {
    const client = await dial();

    await proxy.refuse();

    await client.isReset();
    await expect(dial()).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await proxy.restore();
    const next = await dial();
    next.say("PING\r\n");
    await next.hears("+PONG\r\n");
  });

  it("leaves no socket and no timer behind", async () => {
    const before = process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length;
    const other = await startProxy(server.port);
    const open = await Promise.all([dial(other.port), dial(other.port)]);
    other.delay(100_000);
    for (const client of open) client.say("PING\r\n");
    other.blackHole();
    open.push(await dial(other.port));

    await other.stop();

    for (const client of open) await client.isReset();
    await waitUntil(
      () => process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length === before,
    );
  });
});
