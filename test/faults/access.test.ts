import { expect } from "vitest";
import { documentedExtra, documentedRights } from "../repository/documentedRights.ts";
import { fault, faults, type Scene } from "./harness/fault.ts";
import { type OneServer, oneServer } from "./harness/oneServer.ts";
import { counted, killConnections, sinkConnections } from "./harness/serverView.ts";
import { sinkId, stream } from "./harness/writers.ts";

/** A server that wants a password. */
interface Guarded extends OneServer {
  /** What the next writer is told. */
  password: string;
}

const state = `{${stream}}:rxadd:${sinkId}`;

/** Eval or not: the page gives the rights for scripts, and what differs without them. */
const rights = {
  script: documentedRights("producer"),
  multi: [
    ...documentedRights("producer"),
    "-eval",
    "-evalsha",
    ...documentedExtra("producer", '`publish: "multi"`'),
  ],
};

type OnGuarded = Pick<Scene<Guarded>, "bed" | "load" | "index">;

async function setUser({ server }: OneServer, ...rules: readonly string[]): Promise<void> {
  await server.client.call("ACL", "SETUSER", "producer", ...rules);
}

/** Gives the user the least rights that the sink needs, and no more; the password stays. */
async function grant(bed: OneServer): Promise<void> {
  const rules = rights[bed.settings.publish === "multi" ? "multi" : "script"].filter(
    (rule) => !rule.startsWith(">"),
  );
  await setUser(bed, ...rules);
}

/** Starts a server with a user `producer`. */
async function guarded({
  publish = "script",
  user = "producer",
}: {
  readonly publish?: "script" | "multi";
  readonly user?: string;
} = {}): Promise<Guarded> {
  const { settings: _, ...server } = await oneServer();
  const bed = {
    ...server,
    password: "first",
    settings: {
      publish,
      // Read at each start of a writer.
      get uri() {
        return `redis://${user}:${bed.password}@127.0.0.1:${server.server.port}`;
      },
    },
  };
  await setUser(bed, "on", `>${bed.password}`);
  await grant(bed);
  return bed;
}

/** That the last entry is that of which the producer state says that it is the last. */
async function nothingIsHalfWritten({ server }: OneServer): Promise<void> {
  const [last] = await server.client.xrevrange(stream, "+", "-", "COUNT", 1);
  const position = await server.client.hget(state, "position");
  expect(JSON.parse(last?.[1][1] ?? "{}").position).toBe(Number(position));
}

/** Changes the password, until a new connection is refused; then tells it to the writer. */
function changePassword(change: (bed: Guarded, password: string) => Promise<unknown>) {
  return async ({ bed, load, index }: OnGuarded) => {
    const before = await sinkConnections(bed.server);
    const password = `secret${index}`;
    await change(bed, password);
    await load.progress(3);
    expect(await sinkConnections(bed.server)).toEqual(before);
    await killConnections(bed.server);
    await load.failed("AuthenticationFailed");
    bed.password = password;
    load.start();
  };
}

/** Narrows the user's rights until the sink has ended by it. */
function narrow(...rules: readonly string[]) {
  return async ({ bed, load }: OnGuarded) => {
    await setUser(bed, ...rules);
    await load.failed("PermissionDenied");
    await nothingIsHalfWritten(bed);
    await grant(bed);
    load.start();
  };
}

faults("access", () => {
  fault({
    fault: "password changed: the connection lives on, the next one is refused until the new one is told",
    times: { short: 3, long: 20 },
    bed: () => guarded(),
    inject: changePassword((bed, password) => setUser(bed, "resetpass", `>${password}`)),
  });

  fault({
    fault: "requirepass changed: the connection lives on, the next one is refused until the new one is told",
    times: { short: 3, long: 20 },
    bed: async () => {
      const bed = await guarded({ user: "default" });
      await bed.server.client.config("SET", "requirepass", bed.password);
      return bed;
    },
    inject: changePassword((bed, password) => bed.server.client.config("SET", "requirepass", password)),
  });

  fault({
    fault: "started with a wrong password: tried once",
    times: { short: 3, long: 20 },
    bed: () => guarded(),
    inject: async ({ bed, load }) => {
      load.crash();
      const right = bed.password;
      const before = await counted(bed.server, "errorstat_WRONGPASS:count");
      bed.password = "wrong";
      load.start();
      await load.failed("AuthenticationFailed");
      expect(await counted(bed.server, "errorstat_WRONGPASS:count")).toBe(before + 1);
      bed.password = right;
      load.start();
    },
  });

  fault({
    fault: "user deleted, which closes the connection",
    times: { short: 3, long: 20 },
    bed: () => guarded(),
    inject: async ({ bed, load }) => {
      await bed.server.client.call("ACL", "DELUSER", "producer");
      await load.failed("AuthenticationFailed");
      await setUser(bed, "on", `>${bed.password}`);
      await grant(bed);
      load.start();
    },
  });

  const keys = [
    ["the stream's key", "resetkeys", `~{${stream}}:rxadd:*`],
    ["the state's key", "resetkeys", `~${stream}`],
  ] as const;
  const forms = {
    script: [
      ["EVAL", "-eval", "-evalsha"],
      ["HMGET", "-hmget"],
      ["XADD", "-xadd"],
      ["HSET", "-hset"],
      ["writing the state's key", "resetkeys", `~${stream}`, `%R~{${stream}}:rxadd:*`],
      ...keys,
    ],
    multi: [
      ["WATCH", "-watch"],
      ["XADD", "-xadd"],
      ["HSET", "-hset"],
      ["EXEC", "-exec"],
      ["writing the state's key", "resetkeys", `~${stream}`, `%R~{${stream}}:rxadd:*`],
      ...keys,
    ],
  } as const;
  for (const publish of ["script", "multi"] as const) {
    for (const [right, ...rules] of forms[publish]) {
      fault({
        fault: `right taken away: ${right} (${publish})`,
        times: { short: 2, long: 10 },
        bed: () => guarded({ publish }),
        inject: narrow(...rules),
      });
    }
  }
});
