import { isRxaddError, type PlainTag, type RxaddError, rxaddError } from "../../errors/rxaddError.ts";
import { codeOf, messageOf } from "../../errors/thrown.ts";
import { withoutSecrets } from "../../errors/withoutSecrets.ts";

type Reply = readonly [start: RegExp, tag: PlainTag, advice: string];

const oneSlot =
  "what one call writes has to stand in one slot: give the keys one hash tag, as in {orders}.events and {orders}.dead; a keyPrefix moves keys without one to other slots";

/**
 * What servers answer, what it means for a batch, and what to do. The first match counts.
 * Every reply was seen on a real server; the tests in test/redis/wire/redisError.test.ts show them.
 */
const replies: readonly Reply[] = [
  [/^OOM /, "OutOfMemory", "raise maxmemory, or trim streams; work goes on by itself then"],
  [/^READONLY /, "ReadOnlyReplica", "this is a replica: work goes on when the address leads to the master"],
  [/^MASTERDOWN /, "ReadOnlyReplica", "this is a replica: work goes on when the address leads to the master"],
  [/^LOADING /, "Loading", "Redis is starting; work goes on by itself"],
  [/^BUSY /, "Busy", "a script of another client blocks Redis; work goes on when it ends"],
  [/^UNKILLABLE /, "Busy", "a script of another client blocks Redis; work goes on when it ends"],
  [/^NOREPLICAS /, "NotEnoughReplicas", "bring the replicas back that min-replicas-to-write asks for"],
  [/^MISCONF /, "PersistenceFailing", "Redis cannot write to its disk; make room there"],
  [/^CLUSTERDOWN /, "ClusterDown", "the cluster does not serve the stream's slot; bring its node back"],
  [
    /^(TRYAGAIN|MOVED|ASK) /,
    "SlotMoving",
    "the stream's slot moves to another node; pass a Cluster as connection",
  ],
  [/^NOSCRIPT /, "ScriptMissing", "the script is sent again by itself"],
  [
    /^ERR max number of clients (\+ cluster connections )?reached/,
    "TooManyClients",
    "raise maxclients, or close other connections",
  ],
  [/^NOAUTH /, "AuthenticationFailed", "Redis wants a password; put it into the URI"],
  [/^WRONGPASS /, "AuthenticationFailed", "check user and password in the URI"],
  [/^ERR invalid password/, "AuthenticationFailed", "check the password in the URI"],
  [/^NOPERM /, "PermissionDenied", "grant the user the commands and keys that docs/connections.md lists"],
  [
    /^ERR The user executing the script can't/,
    "PermissionDenied",
    "grant the user the commands and keys that docs/connections.md lists",
  ],
  [
    /^ERR ACL failure in script/,
    "PermissionDenied",
    "grant the user the commands and keys that docs/connections.md lists",
  ],
  [
    /^ERR Protocol error: invalid (multi)?bulk length/,
    "EventTooLarge",
    "set maxEventBytes below the server's proto-max-bulk-len, so that such an event is found before it is sent",
  ],
  [/^ERR unknown command ['`]waitaof/i, "Refused", "durability.aof needs Redis 7.2 or later"],
  [/^ERR WAITAOF cannot be used/, "Refused", "durability.aof needs a master with appendonly yes"],
  [/^ERR unknown command ['`]xautoclaim/i, "Refused", "groups are read from Redis 6.2 on"],
  [/^WRONGTYPE /, "WrongType", "choose another stream key, or remove what is stored there"],
  [/^CROSSSLOT /, "CrossSlot", oneSlot],
  [/^ERR Script attempted to access a non local key/, "CrossSlot", oneSlot],
  [/^NOGROUP /, "GroupMissing", "the stream has no such group: check its name, or make it again"],
];

const tlsCodes = /^(ERR_TLS_|ERR_SSL_|CERT_|SELF_SIGNED_|DEPTH_ZERO_SELF|UNABLE_TO_)/;

/** The property of an error that ioredis or Node adds, such as `code`. */
function property(error: unknown, name: string): unknown {
  return typeof error === "object" && error !== null && name in error
    ? (error as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

/** What a server answered, freed of what Redis adds for scripts, before 7 in front, and of EXECABORT around it. */
function replyOf(error: unknown): string {
  const previous = property(error, "previousErrors");
  const inner = Array.isArray(previous) && previous.length > 0 ? previous[0] : error;
  return withoutSecrets(messageOf(inner))
    .replace(/^ERR Error running script \(call to f_[0-9a-f]+\): (@\w+: ?\d+: )*-?/, "")
    .replace(/ script: [0-9a-f]{40}, on @user_script:\d+\.?$/, "")
    .replace(/^EXECABORT Transaction discarded because of: /, "")
    .replace(/^Too many Cluster redirections\. Last error: (ReplyError: )?/, "")
    .replace(/\.$/, "");
}

/**
 * Classifies what ioredis rejects with or emits: an answer of the server, a failing connection, or a
 * RxaddError already.
 *
 * @param where - the server, for the message; without its password
 */
export function redisErrorOf(error: unknown, where: string): RxaddError {
  if (isRxaddError(error)) return error;
  if (messageOf(error) === "Failed to refresh slots cache.") return clusterError(error, where);
  const sentinels = /^All sentinels are unreachable\..*?(?:Last error: (.*))?$/s.exec(messageOf(error));
  if (sentinels !== null) return sentinelError(error, sentinels[1], where);
  const code = codeOf(error);
  if (code !== undefined) {
    if (code === "ENOTFOUND") {
      return rxaddError("UnknownHost", `${where}: the host name is not known; check the URI`, error);
    }
    if (tlsCodes.test(code)) {
      return rxaddError("TlsRejected", `${where}: TLS failed with ${code}: ${messageOf(error)}`, error);
    }
    if (
      code === "ECONNREFUSED" ||
      code === "EAI_AGAIN" ||
      code === "EHOSTUNREACH" ||
      code === "ENETUNREACH"
    ) {
      return rxaddError("Unreachable", `${where}: ${messageOf(error)}`, error);
    }
  }
  if (property(error, "name") === "ReplyError" || /^[A-Z]{2,} |^Too many Cluster/.test(messageOf(error))) {
    const reply = replyOf(error);
    const known = replies.find(([start]) => start.test(reply));
    return known === undefined
      ? rxaddError("Refused", `${where} answered: ${reply}`, error)
      : rxaddError(known[1], `${where} answered: ${reply}. What to do: ${known[2]}.`, error);
  }
  // Sending it again would meet the same mistake.
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) {
    return rxaddError("Refused", `${where}: the command could not be sent: ${messageOf(error)}`, error);
  }
  const [, patienceMs] = silence.exec(messageOf(error)) ?? [];
  const reason =
    patienceMs === undefined
      ? messageOf(error)
      : `no answer within ${patienceMs} ms: Redis is away or hangs, or the link is too slow for what is sent; then raise sendTimeoutMs, or send smaller batches`;
  return rxaddError("ConnectionLost", `${where}: ${reason}`, error);
}

const silence = /^Socket timeout\..* in (\d+)ms\.$/;

/** Whether a connection was given up since it owed an answer for too long. */
export function isSilence(error: unknown): boolean {
  return silence.test(messageOf(error));
}

/** What it means that no node could show the Cluster: what the last one said, if one said anything. */
function clusterError(error: unknown, where: string): RxaddError {
  const said = redisErrorOf(property(error, "lastNodeError") ?? new Error("none is known"), where);
  return said._tag === "ConnectionLost"
    ? rxaddError("Unreachable", `${where}: no node of the Cluster answers`, error)
    : said;
}

/** What it means that no Sentinel could name the master; ioredis hands on only the text of the reason. */
function sentinelError(error: unknown, reason: string | undefined, where: string): RxaddError {
  if (reason?.includes("No such master")) {
    return rxaddError(
      "UnknownMaster",
      `${where}: no Sentinel knows this master; check its name in the URI`,
      error,
    );
  }
  if (/^(WRONGPASS|NOAUTH|NOPERM) /.test(reason ?? "")) {
    return rxaddError(
      "AuthenticationFailed",
      `${where}: the Sentinels answered: ${reason} What to do: check the sentinel credentials, which are not those in the URI.`,
      error,
    );
  }
  return /certificate|altnames|SSL|TLS/.test(reason ?? "")
    ? rxaddError("TlsRejected", `${where}: TLS to the Sentinels failed: ${reason}`, error)
    : rxaddError("Unreachable", `${where}: no Sentinel answers: ${reason ?? "none was asked yet"}`, error);
}
