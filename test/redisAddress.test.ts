import { left, right } from "fp-ts/lib/Either.js";
import { describe, expect, it } from "vitest";
import { parseRedisUri } from "../src/redisAddress.ts";

const nobody = { username: undefined, password: undefined };

describe("parseRedisUri", () => {
  it("leaves the URI of one server as it is", () => {
    const uri = "redis://app:s3cret@h:6379/1";
    expect(parseRedisUri(uri)).toEqual(right({ kind: "server", uri, isTls: false }));
    expect(parseRedisUri("rediss://h")).toEqual(right({ kind: "server", uri: "rediss://h", isTls: true }));
  });

  it("reads Sentinels, the master's name and its database", () => {
    expect(parseRedisUri("redis-sentinel://a:26380,b,[::1]:7/mymaster/2")).toEqual(
      right({
        kind: "sentinel",
        nodes: [
          { host: "a", port: 26_380 },
          { host: "b", port: 26_379 },
          { host: "::1", port: 7 },
        ],
        master: "mymaster",
        db: 2,
        isTls: false,
        ...nobody,
      }),
    );
  });

  it("reads the nodes of a Cluster", () => {
    expect(parseRedisUri("rediss-cluster://a:7000,b")).toEqual(
      right({
        kind: "cluster",
        nodes: [
          { host: "a", port: 7000 },
          { host: "b", port: 6379 },
        ],
        isTls: true,
        ...nobody,
      }),
    );
  });

  it.each([
    ["app:s3cret", { username: "app", password: "s3cret" }],
    [":s3cret", { username: undefined, password: "s3cret" }],
    ["app:p%40s:s%2F", { username: "app", password: "p@s:s/" }],
    ["app:100%", { username: "app", password: "100%" }],
    ["app:p@ss", { username: "app", password: "p@ss" }],
  ])("reads the credentials %s", (credentials, expected) => {
    expect(parseRedisUri(`redis-cluster://${credentials}@a`)).toMatchObject(right(expected));
  });

  it.each([
    ["redis-sentinel://a:1", "the master's name at the end, as in redis-sentinel://host:26379/mymaster"],
    ["redis-sentinel://a:1/m/x", "the master's name at the end, as in redis-sentinel://host:26379/mymaster"],
    ["redis-sentinel://a:1,/m", "hosts as host:port,host:port"],
    ["redis-cluster://", "hosts as host:port,host:port"],
    ["redis-cluster://a:port", "hosts as host:port,host:port"],
    ["redis-cluster://a/1", "no path: a Cluster has one database"],
  ])("says what it expected instead of %s", (uri, expected) => {
    expect(parseRedisUri(uri)).toEqual(left(expected));
  });
});
