import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, it, vi } from "vitest";
import { waitUntil } from "../time/waitUntil.ts";
import { freePort, startRedis } from "./redisServer.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("startRedis", () => {
  it("tries again while one of its ports is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    open.push(() => taken.close());
    await once(taken, "listening");
    const address = taken.address();
    if (address === null || typeof address === "string") throw new Error("no TCP address");
    const busPorts = [address.port, address.port, await freePort()];
    const asked = vi.fn(async () => ["--cluster-enabled", "yes", "--cluster-port", `${busPorts.shift()}`]);

    const server = await startRedis(asked);
    open.push(server.stop);

    expect(asked).toHaveBeenCalledTimes(3);
    expect(await server.client.ping()).toBe("PONG");
  });

  it("reaches the server itself with signals, and starts it again where it was", async () => {
    const server = await startRedis(["--appendonly", "yes"]);
    open.push(server.stop);
    await server.client.set("a", 1);
    const first = server.pid();

    await server.signal("SIGKILL");
    expect([isAlive(first), server.isRunning()]).toEqual([false, false]);
    await server.start();

    expect(server.pid()).not.toBe(first);
    expect(await server.client.get("a")).toBe("1");
    expect(await server.client.info("server")).toContain(`process_id:${server.pid()}\r\n`);
  });

  it("lets no server outlive a test that is killed, not even a frozen one", async () => {
    const module = new URL("./redisServer.ts", import.meta.url).href;
    const program = `
      const { startRedis } = await import(${JSON.stringify(module)});
      const servers = [await startRedis(), await startRedis()];
      await servers[1].signal("SIGSTOP");
      const [, folder] = await servers[0].client.config("GET", "dir");
      console.log(JSON.stringify({ pids: servers.map((server) => server.pid()), folder }));`;
    const test = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = await once(createInterface(test.stdout), "line");
    const { pids, folder }: { pids: number[]; folder: string } = JSON.parse(line);
    expect(pids.map(isAlive)).toEqual([true, true]);

    test.kill("SIGKILL");

    await waitUntil(() => !pids.some(isAlive) && !existsSync(folder));
  });
});
