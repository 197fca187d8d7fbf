import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { isRxaddError, rxaddError } from "../../src/errors/rxaddError.ts";
import { messageOf } from "../../src/errors/thrown.ts";
import { causeWithoutSecrets, withoutSecrets } from "../../src/errors/withoutSecrets.ts";

describe("withoutSecrets", () => {
  it.each([
    ["connect to redis://app:s3cret@h:1 failed", "connect to redis://app:***@h:1 failed"],
    ["Invalid URL: redis://:a@b/c@h", "Invalid URL: redis://:***@h"],
    [
      "ERR unknown command 'hello', with args beginning with: '3' 'AUTH' 'app' 's3cret' ",
      "ERR unknown command 'hello'",
    ],
    ["redis://h:6379 answered: OOM", "redis://h:6379 answered: OOM"],
  ])("says of %j: %j", (message, shown) => {
    expect(withoutSecrets(message)).toBe(shown);
  });
});

describe("causeWithoutSecrets", () => {
  it("keeps name, message, code and where it was thrown, and nothing else", () => {
    const cause = Object.assign(new TypeError("Invalid URL"), {
      code: "ERR_INVALID_URL",
      input: "redis://app:s3cret@h",
      command: { name: "auth", args: ["s3cret"] },
      cause: new Error("s3cret"),
    });

    const kept = causeWithoutSecrets(cause);

    expect(kept).toMatchObject({ name: "TypeError", message: "Invalid URL", code: "ERR_INVALID_URL" });
    expect(kept.stack).toContain("withoutSecrets.test.ts");
    expect(inspect(kept, { depth: Number.POSITIVE_INFINITY, showHidden: true })).not.toContain("s3cret");
  });

  it.each([["a text"], [undefined], [Symbol("s")], [Object.create(null)], [{ toString: () => 1n }]])(
    "makes an error of whatever was thrown: %o",
    (thrown) => {
      expect(causeWithoutSecrets(thrown)).toBeInstanceOf(Error);
      expect(typeof messageOf(thrown)).toBe("string");
    },
  );
});

describe("rxaddError", () => {
  it("keeps another RxaddError as its cause, and frees every other one of what it carries", () => {
    const first = rxaddError("Refused", "no", Object.assign(new Error("x"), { args: ["s3cret"] }));
    const second = rxaddError("Refused", "still no", first);

    expect(second.cause).toBe(first);
    expect(inspect(second, { depth: Number.POSITIVE_INFINITY })).not.toContain("s3cret");
  });

  it("is told from others by what it carries, so that one of another copy of the package is one", () => {
    const brand = Symbol.for("rxadd.RxaddError");

    expect(isRxaddError(rxaddError("Contended", "x"))).toBe(true);
    expect(isRxaddError(Object.assign(new Error("x"), { [brand]: true }))).toBe(true);
    expect(isRxaddError(Object.assign(new Error("x"), { _tag: "Contended" }))).toBe(false);
  });
});
