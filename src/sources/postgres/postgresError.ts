import { DatabaseError } from "pg";
import { redactUri } from "../../errors/redactUri.ts";
import { type ErrorTag, isRxaddError, type RxaddError, sourceError } from "../../errors/rxaddError.ts";
import { messageOf } from "../../errors/thrown.ts";

/** Why a PostgreSQL source ends. */
export type PostgresErrorTag = Extract<
  ErrorTag,
  /** The server cannot be reached, or the connection broke; the source retries it by itself. */
  | "ConnectionLost"
  /** Another process reads the slot; the source retries it by itself, and so takes over. */
  | "SlotInUse"
  /** The server does not let this user in. */
  | "AuthenticationFailed"
  /** The user may not read by replication, or not create the publication. */
  | "PermissionDenied"
  /** The server, the publication, the slot or an option is not set up for what was asked. */
  | "NotConfigured"
  /** The changes after the position that was asked for are gone. */
  | "PositionUnavailable"
  /** Anything else that trying again does not mend. */
  | "Refused"
>;

/** An error of a PostgreSQL source, with what to do in its message. */
export function postgresError(tag: PostgresErrorTag, message: string, cause?: unknown): RxaddError {
  return sourceError(tag, message, cause);
}

type Class = readonly [tag: PostgresErrorTag, advice: string];

/** What brings back what is gone, and how to go on without it. */
export const mends =
  "start once with acceptHole: true, accept_hole: true in YAML, or rxadd replicate --accept-hole: with snapshot: initial it reads every table anew behind a truncate, so that the stream has what they have; without, it goes on without what is gone";

/** The same where what the slot has is of no use. */
export const slotLost = `drop the slot, if it stands; then ${mends}`;

/** SQLSTATE codes, https://www.postgresql.org/docs/current/errcodes-appendix.html */
const codes: Readonly<Record<string, Class>> = {
  "28P01": ["AuthenticationFailed", "check user and password"],
  "28000": ["AuthenticationFailed", "check user, password and pg_hba.conf"],
  "42501": [
    "PermissionDenied",
    "give the user the attribute REPLICATION; a publication of all tables takes a superuser, one of some tables their owner",
  ],
  "42883": ["NotConfigured", "failover takes PostgreSQL 17 or later"],
  "53400": ["NotConfigured", "raise max_replication_slots and max_wal_senders"],
  // A lock or a transaction that was waited for longer than the database allows.
  "55P03": ["ConnectionLost", ""],
  "25P03": ["ConnectionLost", ""],
  "25P04": ["ConnectionLost", ""],
  "55006": ["SlotInUse", "one process at a time reads a slot; give this one a slot of its own"],
  "58P01": ["PositionUnavailable", slotLost],
  // A slot, or before PostgreSQL 18 a publication, that was dropped under way or did not stand when a change was made.
  "42704": ["PositionUnavailable", slotLost],
  "3D000": ["Refused", "check the database in the URI"],
  "42P01": ["Refused", "check the list of tables"],
};

/** Whole classes of SQLSTATE codes that pass: connection, deadlocks, resources, operator intervention. */
const passing = new Set(["08", "40", "53", "57"]);

/** A table that was dropped while the server looked at all of them; of these nobody makes another language. */
const gone = /^(could not open relation with OID|cache lookup failed for)/;

function classOfServer({ code = "", message }: DatabaseError): Class {
  const known = codes[code];
  if (known !== undefined) return known;
  if (passing.has(code.slice(0, 2)) || (code === "XX000" && gone.test(message)))
    return ["ConnectionLost", ""];
  if (code !== "55000") return ["Refused", ""];
  // The one code for what is set up wrongly and for a slot that was left behind; nobody translates it here.
  return /can no longer|cannot read from logical replication slot/.test(message)
    ? ["PositionUnavailable", slotLost]
    : ["NotConfigured", "set wal_level = logical and restart PostgreSQL"];
}

/** ENOENT: the server's Unix socket, while the server is down; but not a certificate that is not there. */
const network = /^(E(CONN|PIPE|TIMEDOUT|HOST|NET|AI_AGAIN)|ENOENT connect)/;

function classOfClient(error: Error): Class {
  const code = "code" in error ? String(error.code) : "";
  if (code === "ERR_INVALID_URL")
    return ["NotConfigured", "check the URI: / and # in a password are written %2F and %23"];
  if (code === "ENOTFOUND") return ["Refused", "check the host in the URI"];
  const syscall = "syscall" in error ? String(error.syscall) : "";
  if (network.test(`${code} ${syscall}`) || /^(Connection terminated|timeout expired)/.test(error.message)) {
    return ["ConnectionLost", ""];
  }
  return /^SASL|password/i.test(error.message)
    ? ["AuthenticationFailed", "check user and password"]
    : ["Refused", ""];
}

/** Turns what `pg` throws into a {@link RxaddError}; `uri` is named without its password. */
export function postgresErrorOf(error: unknown, uri: string): RxaddError {
  if (isRxaddError(error)) return error;
  if (!(error instanceof Error)) return postgresError("Refused", messageOf(error));
  const [tag, advice] = error instanceof DatabaseError ? classOfServer(error) : classOfClient(error);
  return postgresError(
    tag,
    `${redactUri(uri)}: ${messageOf(error)}${advice === "" ? "" : `; ${advice}`}`,
    error,
  );
}
