import * as t from "io-ts";
import type { Cluster, Redis } from "ioredis";
import { kindOf } from "../../errors/thrown.ts";

/**
 * A connection of ioredis, a `Redis` or a `Cluster`, known by what is used of it: any from version 5.6 on, of whichever
 * copy of the package.
 */
export interface RedisConnection {
  readonly status: string;
  readonly isCluster: boolean;
  readonly options: object;
  call(command: string, ...args: readonly string[]): Promise<unknown>;
  sendCommand(command: never): unknown;
  duplicate(): RedisConnection;
  on(event: string, listener: () => void): unknown;
}

/** Here ends what its type says: ioredis' own types differ from version to version, not in what is used of them. */
export function clientOf({ connection }: { readonly connection: RedisConnection }): Redis | Cluster {
  return connection as Redis | Cluster;
}

const methods = ["call", "sendCommand", "duplicate", "on"];

function isConnection(value: object): boolean {
  const { status, options }: { readonly status?: unknown; readonly options?: unknown } = value;
  const hasState = typeof status === "string" && typeof options === "object" && options !== null;
  return hasState && methods.every((method) => typeof Reflect.get(value, method) === "function");
}

/** What was given in place of a connection; of options no value is shown, which may be a secret. */
function foundIn(value: unknown): string {
  if (typeof value !== "object" || value === null) return kindOf(value);
  if ("isOpen" in value && "sendCommand" in value) return "a client of node-redis";
  return "host" in value || "port" in value ? "the options of one" : kindOf(value);
}

/** Reads a connection, or `another` object that stands in for one. */
export function connectionOr(another: (value: object) => boolean): t.Type<object, unknown> {
  const is = (value: unknown): value is object =>
    typeof value === "object" && value !== null && (another(value) || isConnection(value));
  const expected = "a Redis or Cluster of ioredis, as new Redis(…) makes it, or a uri in its place";
  return new t.Type<object, unknown, unknown>(
    expected,
    is,
    (value, context) =>
      is(value)
        ? t.success(value)
        : t.failure(value, context, `found ${foundIn(value)}, expected ${expected}`),
    t.identity,
  );
}

/** Reads a connection. */
export const ownConnection: t.Type<object, unknown> = connectionOr(() => false);
