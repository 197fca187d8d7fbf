import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type BatchNumber,
  decide,
  missingLua,
  opened,
  rules,
  type Stored,
  stateFields,
  storedOf,
} from "../../../src/redis/publish/protocol.ts";
import { type RedisServer, startRedis } from "../../kit/servers/redisServer.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

const numbers = [0, 1, 2, 3];
const owners = ["me", "you"];

/** All states, none among them, with all batches: what decides is how their numbers stand to each other. */
const cases: readonly (readonly [Stored | undefined, BatchNumber])[] = numbers.flatMap((epoch) =>
  numbers.flatMap((sequence) =>
    owners.flatMap((owner) => {
      const mine = { epoch: 2, sequence: 2, owner: "me" };
      const at = { epoch, sequence, owner, position: "p", ahead: "", entryId: "" };
      return [[at, mine] as const, [undefined, mine] as const];
    }),
  ),
);

/** The left column, as the scripts have it. */
const left = `
local epoch, sequence, owner = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local myEpoch, mySequence, myOwner = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
if ${missingLua} then return 'missing' end
${rules.map(({ lua, verdict }) => `if ${lua} then return '${verdict}' end`).join("\n")}
return 'next'`;

describe("the publish protocol", () => {
  it("decides in Lua as in TypeScript, for every state and batch", async () => {
    const inLua = await Promise.all(
      cases.map(([at, { epoch, sequence, owner }]) =>
        server.client.eval(
          left,
          0,
          ...(at === undefined ? ["", "", ""] : [at.epoch, at.sequence, at.owner]),
          ...[epoch, sequence, owner],
        ),
      ),
    );
    expect(inLua).toEqual(cases.map(([at, mine]) => decide(at, mine)));
  });

  it("knows every verdict, and takes a batch of nobody but the owner", () => {
    const verdicts = cases.map(([at, mine]) => decide(at, mine));
    expect(new Set(verdicts)).toEqual(new Set(["missing", "fenced", "outdated", "known", "gap", "next"]));
    for (const [index, [at, mine]] of cases.entries()) {
      if (verdicts[index] === "next" || verdicts[index] === "known") expect(at?.owner).toBe(mine.owner);
    }
  });

  it("is opened by its owner again without a change, and raised by any other one", () => {
    for (const [at] of cases) {
      if (at === undefined) continue;
      expect(opened(at, at.owner, 9)).toBe(at);
      expect(opened(at, "other", 9)).toEqual({ ...at, epoch: at.epoch + 1, owner: "other" });
    }
    expect(opened(undefined, "me", 9)).toMatchObject({ epoch: 10, sequence: 0, owner: "me", position: "" });
  });

  it("reads what is there of a state, and none where its numbers are not", () => {
    const whole = ["2", "3", "me", "p7", "2 p8", "1-0"];
    expect(storedOf(whole)).toEqual({
      ...{ epoch: 2, sequence: 3, owner: "me" },
      ...{ position: "p7", ahead: "2 p8", entryId: "1-0" },
    });
    expect(storedOf(["2", "3", null, null, null, null])).toMatchObject({
      owner: "",
      position: "",
      ahead: "",
    });
    for (const broken of [[], [null, "3"], ["2", null], ["x", "3"], ["", "3"]])
      expect(storedOf(broken)).toBeUndefined();
    expect(whole).toHaveLength(stateFields.length);
  });
});
