import { redactUri } from "../../redactUri.ts";

/** Why a PostgreSQL source ends, told apart by `_tag`. */
export type PostgresErrorTag =
  /** The server cannot be reached, or the connection broke; retried by the source itself. */
  | "ConnectionLost"
  /** Another process reads the slot; retried by the source itself for a while. */
  | "SlotInUse"
  | "AuthenticationFailed"
  | "PermissionDenied"
  /** The server's settings do not allow logical replication. */
  | "NotConfigured"
  /** The changes after the position that was asked for are gone. */
  | "PositionUnavailable"
  | "Refused";

/** An error of a PostgreSQL source, with what to do in its message. */
export class PostgresSourceError extends Error {
  override readonly name = "PostgresSourceError";
  readonly _tag: PostgresErrorTag;

  constructor(tag: PostgresErrorTag, message: string, cause?: unknown) {
    super(message, { cause });
    this._tag = tag;
  }
}

type Class = readonly [tag: PostgresErrorTag, advice: string];

/** SQLSTATE codes, https://www.postgresql.org/docs/current/errcodes-appendix.html */
const classes: Readonly<Record<string, Class>> = {
  "28P01": ["AuthenticationFailed", "check user and password"],
  "28000": ["AuthenticationFailed", "check user, password and pg_hba.conf"],
  "42501": [
    "PermissionDenied",
    "give the user the attribute REPLICATION, and the right to create publications",
  ],
  "55000": ["NotConfigured", "set wal_level = logical and restart PostgreSQL"],
  "53400": ["NotConfigured", "raise max_replication_slots and max_wal_senders"],
  "55006": ["SlotInUse", "one process at a time reads a slot; give this one a slot of its own"],
  "3D000": ["Refused", "check the database in the URI"],
  "42P01": ["Refused", "check the list of tables"],
  "57P01": ["ConnectionLost", "the server ended the connection"],
  "57P02": ["ConnectionLost", "the server ended the connection"],
  "57P03": ["ConnectionLost", "the server is starting or stopping"],
};

/** Turns what `pg` throws into a {@link PostgresSourceError}. */
export function postgresErrorOf(error: unknown, where: string): PostgresSourceError {
  if (error instanceof PostgresSourceError) return error;
  const message = error instanceof Error ? error.message || error.name : String(error);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const [tag, advice] =
    classes[code] ??
    (/^[0-9A-Z]{5}$/.test(code) && !/^E/.test(code) ? ["Refused", ""] : ["ConnectionLost", ""]);
  return new PostgresSourceError(
    tag as PostgresErrorTag,
    `${redactUri(where)}: ${message}${advice === "" ? "" : `; ${advice}`}`,
    error,
  );
}

/** Whether opening the connection again may help. */
export function isPassing(error: unknown): boolean {
  return (
    error instanceof PostgresSourceError && (error._tag === "ConnectionLost" || error._tag === "SlotInUse")
  );
}
