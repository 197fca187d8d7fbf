import { describe, expect, it } from "vitest";
import { type ErrorTag, rxaddError } from "../../../src/errors/rxaddError.ts";
import { lanesStatus } from "../../../src/sink/lane/lanesStatus.ts";
import { reporter } from "../../../src/telemetry/reporter.ts";
import { sinkStates } from "../../../src/telemetry/states.ts";
import type { SinkStatus } from "../../../src/telemetry/status.ts";

function watched() {
  const told: string[] = [];
  const lane = lanesStatus(
    reporter<SinkStatus>(sinkStates, { state: "publishing" }, (status) =>
      told.push(status.state === "retrying" ? `${status.cause._tag} ${status.attempt}` : status.state),
    ),
  );
  const fails = (name: string, attempt: number, tag: (ErrorTag & "Unreachable") | "ConnectionLost") =>
    lane(name).failed({ attempt, delayMs: 1, error: rxaddError(tag, "away") });
  return { told, lane, fails };
}

describe("lanesStatus", () => {
  it("tells once what many lanes meet, and each further attempt once", () => {
    const { told, fails } = watched();

    for (const attempt of [1, 2]) for (const name of ["a", "b", "c"]) fails(name, attempt, "Unreachable");
    fails("d", 1, "ConnectionLost");

    expect(told).toEqual(["Unreachable 1", "Unreachable 2", "ConnectionLost 1"]);
  });

  it("publishes again when all lanes do", () => {
    const { told, lane, fails } = watched();

    lane("c").reached();
    fails("a", 1, "Unreachable");
    fails("b", 1, "Unreachable");
    lane("c").reached();
    lane("a").reached();
    lane("c").reached();
    lane("b").reached();
    fails("a", 1, "Unreachable");

    expect(told).toEqual(["publishing", "Unreachable 1", "publishing", "Unreachable 1"]);
  });
});
