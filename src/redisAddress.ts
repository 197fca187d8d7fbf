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
  | { readonly kind: "server"; readonly uri: string; readonly isTls: boolean }
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

const shape = /^(rediss?)(-sentinel|-cluster)?:\/\/(?:(.*)@)?([^/?#]*)(?:\/([^?#]*))?$/s;

/** Reads a Redis URI; left: what was expected of it. */
export function parseRedisUri(uri: string): Either<string, RedisAddress> {
  const [, scheme, topology, credentials, hosts = "", path = ""] = shape.exec(uri) ?? [];
  const isTls = (scheme ?? uri).startsWith("rediss");
  if (topology === undefined) return right({ kind: "server", uri, isTls });

  const nodes = hosts.split(",").map((host) => nodeOf(host, topology === "-sentinel" ? 26_379 : 6379));
  const known = nodes.filter((node) => node !== undefined);
  if (known.length < nodes.length) return left("hosts as host:port,host:port");
  const reach = { ...credentialsOf(credentials), isTls, nodes: known };
  if (topology === "-cluster") {
    return path === "" ? right({ kind: "cluster", ...reach }) : left("no path: a Cluster has one database");
  }
  const [master = "", db = "0", ...rest] = path.split("/").map(decoded);
  if (master === "" || !/^\d+$/.test(db) || rest.length > 0) {
    return left("the master's name at the end, as in redis-sentinel://host:26379/mymaster");
  }
  return right({ kind: "sentinel", ...reach, master, db: Number(db) });
}

function nodeOf(host: string, defaultPort: number): Node | undefined {
  const [, name, port = defaultPort] = /^(\[[^\]]+\]|[^:\s]+)(?::(\d{1,5}))?$/.exec(host) ?? [];
  return name === undefined ? undefined : { host: name.replace(/^\[|\]$/g, ""), port: Number(port) };
}

function credentialsOf(text = ""): Pick<Reach, "username" | "password"> {
  const [username = "", ...password] = text.split(":");
  return {
    username: username === "" ? undefined : decoded(username),
    password: password.length === 0 ? undefined : decoded(password.join(":")),
  };
}

/** `%40` is `@`; what is no such code stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
