import { type Either, left, right } from "fp-ts/lib/Either.js";

/** A host and its port. */
export interface Node {
  readonly host: string;
  readonly port: number;
}

interface Reach {
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** `rediss`: over TLS. */
  readonly isTls: boolean;
}

/** Where a Redis URI leads. */
export type RedisAddress =
  /** `redis://user:password@host:port/db` */
  | (Reach & Node & { readonly kind: "server"; readonly db: number })
  /** `redis-sentinel://user:password@host:port,host:port/master/db`; the credentials are the master's. */
  | (Reach & {
      readonly kind: "sentinel";
      readonly nodes: readonly Node[];
      readonly master: string;
      readonly db: number;
    })
  /** `redis-cluster://user:password@host:port,host:port`: any nodes of it, from which it learns the others. */
  | (Reach & { readonly kind: "cluster"; readonly nodes: readonly Node[] });

/** The schemes of a Redis URI; the second of each kind is over TLS. */
export const redisSchemes = [
  "redis",
  "rediss",
  "redis-sentinel",
  "rediss-sentinel",
  "redis-cluster",
  "rediss-cluster",
] as const;

const shape = /^(rediss?)(-sentinel|-cluster)?:\/\/(?:(.*)@)?([^/?#]*)(?:\/([^?#]*))?([?#].*)?$/s;

/** Reads a Redis URI; left: what was expected of it. */
export function parseRedisUri(uri: string): Either<string, RedisAddress> {
  const [, scheme, topology, credentials = "", hosts = "", path = "", rest] = shape.exec(uri) ?? [];
  if (scheme === undefined) return left("redis://host:port");
  if (rest !== undefined) {
    return left(
      `nothing behind the path: ${nameOfParameter(rest)} has no meaning here; what the options lack, a connection of your own may have`,
    );
  }
  const decoded = decodedParts(credentials, path);
  if (decoded === undefined) return left("user and password with %25 for %, %2F for /, %3F for ?, %23 for #");
  const { username, password, parts } = decoded;
  const reach = { username, password, isTls: scheme === "rediss" };
  switch (topology) {
    case "-sentinel":
      return sentinelAddress(reach, hosts, parts);
    case "-cluster": {
      const nodes = nodesOf(hosts, 6379);
      if (nodes === undefined) return left(severalHosts);
      return path === ""
        ? right({ kind: "cluster", ...reach, nodes })
        : left("no path: a Cluster has one database");
    }
    default: {
      const node = nodeOf(hosts, 6379);
      const db = databaseOf(parts);
      if (node === undefined) return left("one host, and a port from 1 to 65535, as in redis://host:6379");
      return db === undefined
        ? left("the number of a database behind the host, as in redis://host:6379/0, or nothing")
        : right({ kind: "server", ...reach, ...node, db });
    }
  }
}

const severalHosts = "hosts as host:port,host:port, with ports from 1 to 65535";

function sentinelAddress(
  reach: Reach,
  hosts: string,
  [master = "", ...database]: readonly string[],
): Either<string, RedisAddress> {
  const nodes = nodesOf(hosts, 26_379);
  if (nodes === undefined) return left(severalHosts);
  const db = databaseOf(database);
  return master === "" || db === undefined
    ? left("the master's name at the end, as in redis-sentinel://host:26379/mymaster")
    : right({ kind: "sentinel", ...reach, nodes, master, db });
}

function nodesOf(hosts: string, defaultPort: number): readonly Node[] | undefined {
  const nodes = hosts.split(",").map((host) => nodeOf(host, defaultPort));
  const known = nodes.filter((node) => node !== undefined);
  return known.length < nodes.length ? undefined : known;
}

function nodeOf(text: string, defaultPort: number): Node | undefined {
  const [, name, digits] = /^(\[[^\]\s]+\]|[^:,\s[\]%]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  const port = digits === undefined ? defaultPort : Number(digits);
  if (name === undefined || port < 1 || port > 65_535) return undefined;
  return { host: name.replace(/^\[|\]$/g, ""), port };
}

/** Without one it is 0; undefined: it is no number of a database. */
function databaseOf(parts: readonly string[]): number | undefined {
  const [number = "", ...rest] = parts;
  if (rest.length > 0 || !/^\d{0,9}$/.test(number)) return undefined;
  return Number(number);
}

/** The name of the first parameter, without its value; it may be a password. */
function nameOfParameter(text: string): string {
  const [, name = "", equals = ""] = /^\?([\w.-]+)(=?)/.exec(text) ?? [];
  return equals === "" ? `what begins with ${text.charAt(0)}` : `the parameter ${name}`;
}

interface Decoded extends Pick<Reach, "username" | "password"> {
  readonly parts: readonly string[];
}

/** `%40` is `@`; undefined: there is a `%` that begins no such code, or something that ends user and password in a URI. */
function decodedParts(credentials: string, path: string): Decoded | undefined {
  if (/[/?#]/.test(credentials)) return undefined;
  const [username = "", ...password] = credentials.split(":");
  try {
    return {
      username: username === "" ? undefined : decodeURIComponent(username),
      password: password.length === 0 ? undefined : decodeURIComponent(password.join(":")),
      parts: path === "" ? [] : path.split("/").map(decodeURIComponent),
    };
  } catch {
    return undefined;
  }
}
