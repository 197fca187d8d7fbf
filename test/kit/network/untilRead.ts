import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { setTimeout } from "node:timers/promises";

/** How long a peer that does not read is waited for, in ms. */
const patienceMs = 1000;

/**
 * Resolves when the peer on this machine has read all that was written, or has not for a second. Only Linux tells;
 * elsewhere it is always the second.
 */
export async function untilRead(socket: Socket): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!socket.destroyed && performance.now() < end) {
    const bytes = await unread(socket.localPort ?? 0, socket.remotePort ?? 0).catch(() => undefined);
    if (bytes === 0) return;
    await setTimeout(5);
  }
}

/** What one port has sent to the other and is not read yet, in bytes. */
async function unread(from: number, to: number): Promise<number> {
  const sockets = await readFile("/proc/net/tcp", "latin1");
  return queues(sockets, from, to).sent + queues(sockets, to, from).received;
}

function queues(sockets: string, local: number, remote: number) {
  const line = new RegExp(`:${hex(local)} \\w+:${hex(remote)} \\w+ (\\w+):(\\w+)`);
  const [, sent = "0", received = "0"] = line.exec(sockets) ?? [];
  return { sent: Number.parseInt(sent, 16), received: Number.parseInt(received, 16) };
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}
