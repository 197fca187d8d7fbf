import { inspect } from "node:util";
import { of, Subject } from "rxjs";
import { describe, expect, it } from "vitest";
import { type RxaddError, redisSink, type SinkOptions, type SinkStatus } from "../../src/index.ts";
import { failureOf } from "../kit/program/failureOf.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { startRedis } from "../kit/servers/redisServer.ts";

const secret = "s3cret";
const event = { id: "a", position: 1, note: "payl0ad" };

const redis = emptyRedis();

function sinkAt(uri: string, settings: Partial<SinkOptions<typeof event, number>> = {}) {
  return of(event).pipe(redisSink<typeof event, number>({ id: "x", uri, stream: "orders", ...settings }));
}

/** All that an error can be made to show, as Node prints one that nobody handles, and what loggers make of it. */
function shown(error: Error): string {
  const all = inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true, getters: true });
  const causes = [error, error.cause].map((part) => JSON.stringify(part));
  return [all, String(error), error.stack, ...causes].join("\n");
}

function expectNothingSecret(error: RxaddError): void {
  expect(shown(error)).not.toContain(secret);
  expect(shown(error)).not.toContain(event.note);
}

describe.each(["script", "multi"] as const)("an error of a sink with publish: %s", (publish) => {
  it("shows no password that is wrong", async () => {
    await redis.client.acl("SETUSER", "app", "on", ">other", "~*", "+@all");

    const error = await failureOf(sinkAt(`redis://app:${secret}@127.0.0.1:${redis.port}`, { publish }));

    expect(error._tag).toBe("AuthenticationFailed");
    expectNothingSecret(error);
  });

  it("shows no event that may not be published", async () => {
    await redis.client.acl("SETUSER", "poor", "on", `>${secret}`, "~*", "+@all", "-xadd");

    const error = await failureOf(sinkAt(`redis://poor:${secret}@127.0.0.1:${redis.port}`, { publish }));

    expect(error._tag).toBe("PermissionDenied");
    expectNothingSecret(error);
  });

  it("shows no event that is tried again", async () => {
    const status$ = new Subject<SinkStatus>();
    const retrying = new Promise<RxaddError>((resolve) =>
      status$.subscribe((status) => status.state === "retrying" && resolve(status.cause)),
    );
    await redis.client.config("SET", "maxmemory", 1);
    const publishing = sinkAt(redis.uri, { publish, status: status$ }).subscribe({ error: () => {} });

    const cause = await retrying;
    publishing.unsubscribe();
    await redis.client.config("SET", "maxmemory", 0);

    expect(cause._tag).toBe("OutOfMemory");
    expectNothingSecret(cause);
  });

  it("shows nothing of a command that the server does not know, of which Redis repeats the arguments", async () => {
    const names = ["hello", "xadd", "eval", "auth"].flatMap((name) => ["--rename-command", name, `x${name}`]);
    const renamed = await startRedis(names);

    const error = await failureOf(sinkAt(`redis://:${secret}@127.0.0.1:${renamed.port}`, { publish }));
    await renamed.stop();

    expect(error._tag).toBe("Refused");
    expectNothingSecret(error);
  });
});

describe("a URI that leads nowhere", () => {
  it.each([
    `redis://app:a/${secret}@127.0.0.1:1`,
    `redis://app:a%${secret}@127.0.0.1:1`,
    `redis://app:${secret}@127.0.0.1:99999`,
    `redis://app:${secret}@127.0.0.1:1/orders`,
    `redis://127.0.0.1:1?password=${secret}`,
    `redis://127.0.0.1:1?pass%77ord=${secret}`,
  ])("is refused before anything is opened, without its password: %s", (uri) => {
    let error: unknown;
    try {
      sinkAt(uri);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({
      _tag: "ConfigurationInvalid",
      message: expect.stringContaining("uri: found redis://"),
    });
    expect(shown(error as Error)).not.toContain(secret);
  });
});

describe("a key that is neither a file nor PEM", () => {
  it.each([
    ["a text", secret],
    ["a text that no file can be called", `${secret}\0`],
  ])("is not shown as the name of a file: %s", async (_what, key) => {
    const error = await failureOf(sinkAt(redis.uri, { tls: { cert: "-----BEGIN CERTIFICATE-----", key } }));

    expect(error).toMatchObject({
      _tag: "ConfigurationInvalid",
      message: expect.stringContaining("tls.key: found neither a PEM text"),
    });
    expectNothingSecret(error);
  });
});
