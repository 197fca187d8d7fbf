import fc from "fast-check";
import { isLeft, left, right } from "fp-ts/lib/Either.js";
import { describe, expect, it } from "vitest";
import { parseRedisUri } from "../../../src/redis/connect/address.ts";

const nobody = { username: undefined, password: undefined };

describe("parseRedisUri", () => {
  it.each([
    ["redis://h", { host: "h", port: 6379, db: 0 }],
    ["redis://h/", { host: "h", port: 6379, db: 0 }],
    ["redis://[::1]:7/15", { host: "::1", port: 7, db: 15 }],
    ["redis://app:s3cret@h:6380/1", { host: "h", port: 6380, db: 1, username: "app", password: "s3cret" }],
  ])("reads the one server of %s", (uri, expected) => {
    expect(parseRedisUri(uri)).toEqual(right({ kind: "server", isTls: false, ...nobody, ...expected }));
  });

  it("takes rediss to be TLS", () => {
    expect(parseRedisUri("rediss://h")).toMatchObject(right({ kind: "server", isTls: true }));
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
    ["app:100%25", { username: "app", password: "100%" }],
    ["app:p@ss", { username: "app", password: "p@ss" }],
  ])("reads the credentials %s, whatever they are for", (credentials, expected) => {
    for (const rest of ["redis://_@a", "redis-cluster://_@a,b", "redis-sentinel://_@a/m"]) {
      expect(parseRedisUri(rest.replace("_", credentials))).toMatchObject(right(expected));
    }
  });

  it("reads back every user and password that is encoded", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1 });
    const form = fc.constantFrom("redis://_@h:1/2", "redis-cluster://_@a,b:1", "redis-sentinel://_@a/m/3");
    fc.assert(
      fc.property(text, text, form, (username, password, form) => {
        const credentials = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`;
        const uri = form.replace("_", () => credentials);
        expect(parseRedisUri(uri)).toMatchObject(right({ username, password }));
      }),
    );
  });

  it("throws for no text, and says nothing of a password", () => {
    const password = fc.string({ unit: "binary" }).map((text) => `<<${text}>>`);
    const rest = fc.constantFrom("@h", "@h:1/x", "@h:99999", "", "?a=b", "@h?c=d");
    const scheme = fc.constantFrom("redis://", "rediss-cluster://", "redis-sentinel://", "");
    fc.assert(
      fc.property(scheme, password, rest, (scheme, password, rest) => {
        const address = parseRedisUri(`${scheme}u:${password}${rest}`);
        expect(isLeft(address) ? address.left : "").not.toContain("<<");
      }),
    );
  });

  const oneServer = "one host, and a port from 1 to 65535, as in redis://host:6379";
  const database = "the number of a database behind the host, as in redis://host:6379/0, or nothing";
  const master = "the master's name at the end, as in redis-sentinel://host:26379/mymaster";
  const hosts = "hosts as host:port,host:port, with ports from 1 to 65535";
  const escapes = "user and password with %25 for %, %2F for /, %3F for ?, %23 for #";
  it.each([
    ["redis://h/abc", database],
    ["redis://h/1.5", database],
    ["redis://h/0x1", database],
    ["redis://h/1/2", database],
    ["redis://h/-1", database],
    ["redis:///", oneServer],
    ["redis://h:99999", oneServer],
    ["redis://h:0", oneServer],
    ["redis://h:port", oneServer],
    ["redis://a,b", oneServer],
    ["redis://:p%zz@h", escapes],
    ["redis://:100%@h", escapes],
    ["redis://app:a/s3cret@h", escapes],
    ["redis://app:a#s3cret@h", escapes],
    ["redis-cluster://:100%@h", escapes],
    ["redis-sentinel://a:1", master],
    ["redis-sentinel://a:1/m/x", master],
    ["redis-sentinel://a:1,/m", hosts],
    ["redis-sentinel://a:99999/m", hosts],
    ["redis-cluster://", hosts],
    ["redis-cluster://a:port", hosts],
    ["redis-cluster://a/1", "no path: a Cluster has one database"],
  ])("says what it expected instead of %s", (uri, expected) => {
    expect(parseRedisUri(uri)).toEqual(left(expected));
  });

  it.each([
    ["redis://h?keyPrefix=x:", "the parameter keyPrefix"],
    ["redis://h/0?db=3&a=b", "the parameter db"],
    ["redis-cluster://h?password=s3cret", "the parameter password"],
    ["redis://h#s3cret", "what begins with #"],
  ])("refuses %s by the name of what means nothing", (uri, named) => {
    expect(parseRedisUri(uri)).toEqual(left(expect.stringContaining(named)));
    expect(parseRedisUri(uri)).not.toEqual(left(expect.stringContaining("s3cret")));
  });
});
