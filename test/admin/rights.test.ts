import { lastValueFrom, type Observable, toArray } from "rxjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  claimEntries,
  createGroup,
  deleteEntries,
  destroyGroup,
  groupPending,
  pendingEntries,
  redrive,
  removeConsumer,
  setGroup,
  streamGroups,
  streamInfo,
  streamLength,
  trimAcknowledged,
  trimStream,
} from "../../src/admin/index.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { codeBlocks } from "../repository/codeBlocks.ts";

const stream = "orders.events";
const dead = "orders.dead";
const group = "mail";
const letter = [
  ...["event", "{}", "error", "HandlerFailed", "reason", "x", "stream", stream, "entry", "1-0"],
  ...["group", group, "consumer", "worker1", "deliveries", "5"],
];

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

/** The rules that docs/streams.md gives. */
function documentedRules(): readonly string[] {
  const start = "ACL SETUSER operator ";
  const [, rules = ""] =
    codeBlocks("docs/streams.md")
      .find(({ code }) => code.includes(start))
      ?.code.split(start) ?? [];
  return rules.replaceAll("\\\n", " ").replaceAll("'", "").trim().split(/\s+/);
}

async function useAll(where: string): Promise<void> {
  const at = { uri: redis.uri.replace("://", "://operator:password@"), stream: where };
  const claim = { group, consumer: "worker2", minIdleMs: 0 };
  await redis.client.xadd(dead, "*", ...letter);
  const all: readonly Observable<unknown>[] = [
    createGroup(at, { group, start: "$" }),
    setGroup(at, { group, to: "0-0" }),
    removeConsumer(at, { group, consumer: "worker9" }),
    redrive({ ...at, stream: where === stream ? dead : where }),
    streamLength(at),
    streamInfo(at),
    streamGroups(at),
    groupPending(at, group),
    pendingEntries(at, { group }),
    claimEntries(at, claim),
    claimEntries(at, { ...claim, entryIds: ["1-0"] }),
    trimAcknowledged(at),
    trimStream(at, { maxLength: 1 }),
    deleteEntries(at, ["1-0"]),
    destroyGroup(at, group),
  ];
  for (const asked of all) await lastValueFrom(asked.pipe(toArray()));
}

describe("the rights that docs/streams.md gives an operator", () => {
  it("are enough, and each of them is needed", async () => {
    const rules = documentedRules();
    const setUser = (...some: readonly string[]) => redis.client.call("ACL", "SETUSER", "operator", ...some);
    await redis.client.xgroup("CREATE", stream, group, "0", "MKSTREAM");
    await redis.client.xadd(stream, "1-0", "event", "{}");
    await redis.client.xreadgroup("GROUP", group, "worker1", "STREAMS", stream, ">");
    await setUser(...rules);

    await useAll(stream);
    expect(await redis.client.call("ACL", "LOG")).toEqual([]);

    // Each of these is refused in a call of its own; ioredis does without the others.
    for (const rule of rules.filter((some) => /^\+(x|eval$)/.test(some))) {
      await setUser(...rules, rule.replace("+", "-"), ...(rule === "+eval" ? ["-evalsha"] : []));
      await expect(useAll(stream), rule).rejects.toMatchObject({ _tag: "PermissionDenied" });
    }
  });

  it("are for no other stream", async () => {
    await redis.client.call("ACL", "SETUSER", "operator", ...documentedRules());

    await expect(useAll("others.events")).rejects.toMatchObject({ _tag: "PermissionDenied" });
  });
});
