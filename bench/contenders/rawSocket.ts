import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Redis } from "ioredis";
import { publishScript } from "../../src/redis/publish/publishScript.ts";
import { type BenchEvent, jsonOf } from "../benchEvent.ts";
import { type Contender, streamOf, type Task, withWindow } from "../contender.ts";

/** One text argument of a command, as RESP has it. */
function argument(text: string | number): string {
  const value = `${text}`;
  return `$${Buffer.byteLength(value)}\r\n${value}\r\n`;
}

function socketTo({ uri }: Task): Socket {
  const { hostname, port } = new URL(uri);
  return connect({ host: hostname, port: Number(port), noDelay: true });
}

/** Calls back when so many lines have been answered; an error among them ends the bench. */
function lineCounter(socket: Socket): (lines: number) => Promise<void> {
  const waiting: { lines: number; readonly done: () => void }[] = [];
  socket.on("data", (chunk: Buffer) => {
    // "-ERR …"; a chunk may also begin within an ID, as in "-42".
    if (chunk[0] === 45 && Number(chunk[1]) > 57) throw new Error(chunk.subarray(0, 200).toString());
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) {
      const [first] = waiting;
      if (first === undefined) throw new Error(`found an answer that nobody waits for: ${chunk}`);
      first.lines -= 1;
      if (first.lines === 0) waiting.shift()?.done();
    }
  });
  return (lines) => new Promise((done) => waiting.push({ lines, done }));
}

/** The least that Node can do: text into a socket, line ends counted on the way back. Nothing is checked. */
export const rawSocket: Contender = {
  name: "raw RESP socket, XADD",
  publish: async (task) => {
    const socket = socketTo(task);
    const answered = lineCounter(socket);
    await withWindow(task, (batch) => {
      let request = "";
      for (const event of batch) {
        request += `*5\r\n$4\r\nXADD\r\n${argument(streamOf(task, event.position))}$1\r\n*\r\n$5\r\nevent\r\n${argument(jsonOf(event))}`;
      }
      socket.write(request);
      return answered(2 * batch.length);
    });
    socket.end();
    await once(socket, "close");
    return undefined;
  },
};

/** The same with rxadd's own script call for each batch: what is left for rxadd to lose. */
export const rawScript: Contender = {
  name: "raw RESP socket, rxadd's script",
  publish: async (task) => {
    const { uri, stream } = task;
    const state = `{${stream}}:rxadd:bench`;
    const redis = new Redis(uri);
    const sha = String(await redis.script("LOAD", publishScript()));
    await redis.hset(state, { epoch: 1, sequence: 0, owner: "bench", position: "", ahead: "", entry: "" });
    await redis.quit();

    const socket = socketTo(task);
    const answered = lineCounter(socket);
    const keys = ["EVALSHA", sha, 2, state, stream].map(argument).join("");
    let sequence = 0;
    await withWindow(task, (batch: readonly BenchEvent[]) => {
      sequence += 1;
      const position = batch.at(-1)?.position ?? 0;
      let request = `*${12 + batch.length}\r\n${keys}${["bench", 1, sequence, position, "", 0, 1].map(argument).join("")}`;
      for (const event of batch) request += argument(jsonOf(event));
      socket.write(request);
      return answered(2);
    });
    socket.end();
    await once(socket, "close");
    return undefined;
  },
};
