import type { Observable } from "rxjs";
import { describe, expect, it } from "vitest";
import {
  claimEntries,
  createGroup,
  deleteEntries,
  groupPending,
  pendingEntries,
  redrive,
  type StreamOptions,
  streamLength,
  trimAcknowledged,
  trimStream,
} from "../../src/admin/index.ts";
import { failureOf } from "../kit/program/failureOf.ts";

const at = { uri: "redis://127.0.0.1:1", stream: "orders.events" };
/** As a program without types may have it. */
const wrong = (options: object) => options as never;

const misused: readonly (readonly [what: string, asked: Observable<unknown>, problem: string])[] = [
  [
    "a stream",
    streamLength({ ...at, sendTimeout: 5 } as StreamOptions),
    "sendTimeout: no such option; did you mean sendTimeoutMs?",
  ],
  ["the group", groupPending(at, ""), 'groupPending: group: found "", expected a text'],
  [
    "a filter",
    pendingEntries(at, wrong({ group: "a", idleMs: 5 })),
    "idleMs: no such option; did you mean minIdleMs?",
  ],
  [
    "a claim",
    claimEntries(at, wrong({ group: "a", consumer: "b", minIdle: 5 })),
    "minIdle: no such option; did you mean minIdleMs?",
  ],
  ["entry IDs", deleteEntries(at, ["5-x"]), "expected an entry ID such as 1700000000000-0"],
  ["a limit", trimStream(at, wrong({ maxLen: 5 })), "maxLen: no such option; did you mean maxLength?"],
  ["two limits", trimStream(at, wrong({ maxLength: 5, minId: "5-0" })), "found both maxLength and minId"],
  ["a group", createGroup(at, wrong({ group: "a", from: "$" })), "from: no such option; did you mean"],
  ["dead letters", redrive(at, wrong({ reson: "x" })), "reson: no such option; did you mean reason?"],
  [
    "how exact",
    trimAcknowledged(at, wrong({ approx: true })),
    "approx: no such option; did you mean approximate?",
  ],
];

describe("what looks after streams", () => {
  it.each(misused)("says what is wrong with %s", async (_, asked, problem) => {
    const error = await failureOf(asked);

    expect(error._tag).toBe("ConfigurationInvalid");
    expect(error.message).toContain(problem);
  });
});
