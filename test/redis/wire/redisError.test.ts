import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isRetryable, type RxaddError, rxaddError } from "../../../src/errors/rxaddError.ts";
import { redisErrorOf } from "../../../src/redis/wire/redisError.ts";
import { type RedisServer, startRedis } from "../../kit/servers/redisServer.ts";

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

/** What a real server's answer to a call is classified as. */
async function errorOf(call: Promise<unknown>): Promise<RxaddError> {
  const error = await call.then(
    () => new Error("it did not fail"),
    (reason) => reason,
  );
  return redisErrorOf(error, "redis://h");
}

describe("redisErrorOf", () => {
  it("takes a server without memory to be passing, in a script, in a transaction and alone", async () => {
    await redis.client.config("SET", "maxmemory", 1);
    const alone = await errorOf(redis.client.xadd("s", "*", "a", "b"));
    const script = await errorOf(redis.client.eval("return redis.call('XADD', 's', '*', 'a', 'b')", 0));
    const transaction = await errorOf(redis.client.multi().xadd("s", "*", "a", "b").exec());
    await redis.client.config("SET", "maxmemory", 0);

    for (const error of [alone, script, transaction]) {
      expect(error).toMatchObject({ _tag: "OutOfMemory", kind: "retryable" });
      expect(error.message).not.toContain("script:");
    }
  });

  it("takes a replica to be passing", async () => {
    await redis.client.replicaof("127.0.0.1", 1);
    const error = await errorOf(redis.client.xadd("s", "*", "a", "b"));
    await redis.client.replicaof("NO", "ONE");

    expect(error).toMatchObject({ _tag: "ReadOnlyReplica", kind: "retryable" });
  });

  it("takes missing replicas to be passing", async () => {
    await redis.client.config("SET", "min-replicas-to-write", 1);
    const error = await errorOf(redis.client.xadd("s", "*", "a", "b"));
    await redis.client.config("SET", "min-replicas-to-write", 0);

    expect(error).toMatchObject({ _tag: "NotEnoughReplicas", kind: "retryable" });
  });

  it("takes a script that the server does not know to be passing", async () => {
    expect(await errorOf(redis.client.evalsha("0".repeat(40), 0))).toMatchObject({ _tag: "ScriptMissing" });
  });

  it("takes a key of another type to be final, and says what to do", async () => {
    await redis.client.set("text", "x");
    const error = await errorOf(redis.client.xadd("text", "*", "a", "b"));

    expect(error).toMatchObject({ _tag: "WrongType", kind: "permanent" });
    expect(error.message).toContain("choose another stream key");
  });

  it("takes missing rights to be final, in a script and alone", async () => {
    await redis.client.call("ACL", "SETUSER", "poor", "on", ">p", "~*", "-@all", "+eval", "+hello", "+auth");
    const poor = new Redis(redis.port, "127.0.0.1", {
      username: "poor",
      password: "p",
      enableReadyCheck: false,
    });
    const alone = await errorOf(poor.xadd("s", "*", "a", "b"));
    const script = await errorOf(poor.eval("return redis.call('XADD', 's', '*', 'a', 'b')", 0));
    poor.disconnect();

    expect([alone._tag, script._tag]).toEqual(["PermissionDenied", "PermissionDenied"]);
  });

  it("takes an answer that it does not know to be final, and shows it", async () => {
    const error = await errorOf(redis.client.call("NOSUCHCOMMAND"));

    expect(error).toMatchObject({ _tag: "Refused", kind: "permanent" });
    expect(error.message).toContain("redis://h answered: ERR unknown command");
  });

  it.each([
    ["LOADING Redis is loading the dataset in memory", "Loading"],
    ["BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", "Busy"],
    ["MISCONF Errors writing to the AOF file: No space left on device", "PersistenceFailing"],
    ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "ReadOnlyReplica"],
    ["CLUSTERDOWN Hash slot not served", "ClusterDown"],
    ["Too many Cluster redirections. Last error: ReplyError: CLUSTERDOWN The cluster is down", "ClusterDown"],
    ["TRYAGAIN Multiple keys request during rehashing of slot", "SlotMoving"],
    ["MOVED 8579 127.0.0.1:17101", "SlotMoving"],
    ["ERR max number of clients reached", "TooManyClients"],
    ["ERR max number of clients + cluster connections reached", "TooManyClients"],
    ["NOGROUP No such consumer group 'g' for key name 's'", "GroupMissing"],
    [
      "ERR Error running script (call to f_3f0e): @user_script:10: @user_script: 10: -OOM command not allowed when used memory > 'maxmemory'.",
      "OutOfMemory",
    ],
    [
      "ERR Error running script (call to f_3f0e): @user_script:10: @user_script: 10: -READONLY You can't write against a read only replica.",
      "ReadOnlyReplica",
    ],
    [
      "EXECABORT Transaction discarded because of: NOREPLICAS Not enough good replicas to write.",
      "NotEnoughReplicas",
    ],
    ["NOAUTH Authentication required.", "AuthenticationFailed"],
    ["CROSSSLOT Keys in request don't hash to the same slot", "CrossSlot"],
  ])("classifies %s", (message, tag) => {
    const error = Object.assign(new Error(message), { name: "ReplyError" });

    expect(redisErrorOf(error, "redis://h")._tag).toBe(tag);
  });

  it.each([
    ["ECONNREFUSED", "Unreachable", true],
    ["EAI_AGAIN", "Unreachable", true],
    ["ENOTFOUND", "UnknownHost", false],
    ["SELF_SIGNED_CERT_IN_CHAIN", "TlsRejected", false],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "TlsRejected", false],
    ["ECONNRESET", "ConnectionLost", true],
  ])("classifies a connection that fails with %s", (code, tag, retryable) => {
    const error = redisErrorOf(Object.assign(new Error(`connect ${code}`), { code }), "redis://h");

    expect(error._tag).toBe(tag);
    expect(isRetryable(error)).toBe(retryable);
  });

  it("takes what it cannot read, such as a lost connection, to be of unknown outcome", () => {
    expect(redisErrorOf(new Error("Connection is closed."), "redis://h")).toMatchObject({
      _tag: "ConnectionLost",
      kind: "unknown",
    });
  });

  it.each([
    ["ERR unknown command 'WAITAOF', with args beginning with: '0' ", "Redis 7.2 or later"],
    ["ERR unknown command `WAITAOF`, with args beginning with: `0`, ", "Redis 7.2 or later"],
    ["ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.", "appendonly yes"],
    ["ERR unknown command `xautoclaim`, with args beginning with: `s`, `payl0ad`, ", "Redis 6.2"],
  ])("says what a server lacks that answers %s", (message, advice) => {
    const error = redisErrorOf(Object.assign(new Error(message), { name: "ReplyError" }), "redis://h");

    expect(error._tag).toBe("Refused");
    expect(error.message).toContain(advice);
    expect(error.message).not.toContain("with args");
  });

  it("says what a connection that was given up may mean", () => {
    const error = redisErrorOf(
      new Error("Socket timeout. Expecting data, but didn't receive any in 1000ms."),
      "redis://h",
    );

    expect(error).toMatchObject({ _tag: "ConnectionLost", kind: "unknown" });
    expect(error.message).toContain("within 1000 ms");
    expect(error.message).toContain("raise sendTimeoutMs");
  });

  it("takes a mistake in the program, which would come again, to be final", () => {
    expect(redisErrorOf(new RangeError("Invalid string length"), "redis://h")).toMatchObject({
      _tag: "Refused",
      kind: "permanent",
    });
  });

  it.each([
    ["Last error: connect ECONNREFUSED 127.0.0.1:1", "Unreachable"],
    ["Last error: WRONGPASS invalid username-password pair or user is disabled.", "AuthenticationFailed"],
    ["Last error: self-signed certificate in certificate chain", "TlsRejected"],
    ["Last error: ERR No such master with that name", "UnknownMaster"],
    ["", "Unreachable"],
  ])("takes Sentinels that do not lead to a master by their last error: %s", (reason, tag) => {
    const message = `All sentinels are unreachable. Retrying from scratch after 10ms. ${reason}`.trim();

    expect(redisErrorOf(new Error(message), "redis-sentinel://h/m")._tag).toBe(tag);
  });

  it("takes a Cluster by what its last node said", () => {
    const error = Object.assign(new Error("Failed to refresh slots cache."), {
      lastNodeError: Object.assign(new Error("WRONGPASS invalid password"), { name: "ReplyError" }),
    });

    expect(redisErrorOf(error, "redis-cluster://h")._tag).toBe("AuthenticationFailed");
  });

  it("leaves an RxaddError as it is", () => {
    const error = rxaddError("Contended", "x");
    expect(redisErrorOf(error, "redis://h")).toBe(error);
  });
});
