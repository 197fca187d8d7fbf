import { startRedis } from "../../kit/servers/redisServer.ts";
import type { Replicated } from "./promotionWorld.ts";
import { connect, turn } from "./realWorld.ts";
import type { Line } from "./world.ts";

/** Two servers that change places when they are told to. */
export async function startPair(): Promise<Replicated & { readonly stop: () => Promise<unknown> }> {
  const start = () => startRedis(["--repl-diskless-sync-delay", "0"]);
  let [master, replica] = await Promise.all([start(), start()]);
  let lines: Line[] = [];

  async function follow(): Promise<void> {
    await replica.client.replicaof("127.0.0.1", master.port);
    while (!(await master.client.info("replication")).includes(`port=${replica.port},state=online`))
      await turn();
    await master.client.wait(1, 1000);
  }
  await follow();

  const cutReplication = () => replica.client.replicaof("NO", "ONE");
  return {
    master: () => master,
    cutReplication,
    promote: async () => {
      await cutReplication();
      for (const { retarget } of lines) retarget?.(replica.port);
      await master.client.call("CLIENT", ["KILL", "TYPE", "normal", "SKIPME", "yes"]);
      [master, replica] = [replica, master];
      await follow();
    },
    connect: async () => {
      const line = await connect(master);
      const gone = () => {
        lines = lines.filter((other) => other !== open);
      };
      const open: Line = { ...line, close: () => line.close().finally(gone) };
      lines.push(open);
      return open;
    },
    stop: () => Promise.all([master.stop(), replica.stop()]),
  };
}
