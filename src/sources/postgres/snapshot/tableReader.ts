import { Client, type ClientConfig, DatabaseError } from "pg";
import type { RxaddError } from "../../../errors/rxaddError.ts";
import { plainText } from "../plainText.ts";
import { postgresError, postgresErrorOf } from "../postgresError.ts";
import { kinds, takeMessages } from "../takeMessages.ts";
import type { SentRow } from "./chunk.ts";
import { nextChunkRows } from "./chunkRows.ts";
import { describeTable, quotedTable, selectRows, type Table } from "./table.ts";
import { shownTable, type TableName, type TableRead } from "./tableRead.ts";
import { Visibility } from "./visibility.ts";

/** The prefix of the messages that say where in the log rows belong. */
export const watermark = "rxadd.snapshot";

/** Undefined table, and undefined schema. */
const noSuch: ReadonlySet<string | undefined> = new Set(["42P01", "3F000"]);

/** What reading a table begins with: rows, or that it has no key to read it by in pieces. */
export type Found = RowsRead | "keyless";

/** Rows of a table, at most as many as were asked for, and what the moment that they are of has seen. */
export interface RowsRead {
  readonly table: Table;
  readonly rows: readonly SentRow[];
  readonly bytes: number;
  readonly seen: Visibility;
  /** Whether there are no more behind them. */
  readonly isLast: boolean;
}

/** Rows beyond so many bytes are left to the next piece. */
const maxBytes = 8 * 1024 * 1024;
/** How many rows of a table without a key are read first: their size is not known. */
const fewRows = 4;

/** What may end a session that waits: for its place in the log, for a lock, for who is slow. */
const sessionTimeouts = `SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout',
  'transaction_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout')`;

/** Reads tables, a piece at a time, by a connection that it has while there is something to read. */
export class TableReader {
  readonly #config: ClientConfig;
  readonly #publication: string;
  readonly #failed: (error: unknown) => void;
  #connecting: Promise<Client> | undefined;
  /** What is asked, one after the other: rows are told from other answers by nothing else. */
  #asked: Promise<unknown> = Promise.resolve();
  #rows: SentRow[] | undefined;
  #bytes = 0;
  #isCut = false;
  #mostBytes = maxBytes;

  /** @param failed - told when the connection breaks; what was asked for then rejects as well */
  constructor(config: ClientConfig, publication: string, failed: (error: unknown) => void) {
    this.#config = config;
    this.#publication = publication;
    this.#failed = failed;
  }

  /** Gives the connection back; the next question opens another one. */
  rest(): void {
    this.#connecting?.then((client) => client.end()).catch(() => {});
    this.#connecting = undefined;
  }

  /** What the server sees at this moment, and which of the transactions that it does not see have yet to begin their commit, as far as it tells us. */
  async look(): Promise<{ readonly seen: Visibility; readonly open: ReadonlySet<number> }> {
    return this.#ask(async (client) => {
      // A moment names those that run up to the newest that has ended: that is this one.
      await client.query("SELECT pg_current_xact_id()");
      const seen = await look(client);
      const { rows } = await client.query<{ xid: string }>(
        "SELECT backend_xid::text AS xid FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND backend_xid IS NOT NULL",
      );
      return { seen, open: new Set(rows.map(({ xid }) => Number(xid))) };
    });
  }

  /**
   * The next rows of a table; undefined: it is not published, or is no more.
   *
   * - **Errors** it rejects with an {@link RxaddError}.
   */
  read(read: TableRead, limit: number): Promise<Found | undefined> {
    return this.#within(read, async (client, table) => {
      if (table.key.length === 0 || table.key.includes(-1)) return "keyless";
      const rows = await this.#rowsOf(client, selectRows(table, read, limit), limit);
      return { table, ...rows, seen: await look(client) };
    });
  }

  /**
   * All rows of a table, as one moment sees them.
   *
   * @param begin - told what that moment has seen; returns whether to go on
   * @param tell - given some of them; the next ones are read when it resolves
   */
  async readWhole(
    read: TableRead,
    begin: (seen: Visibility) => boolean,
    tell: (table: Table, rows: readonly SentRow[]) => Promise<void>,
  ): Promise<void> {
    await this.#within(read, async (client, table) => {
      if (!begin(await look(client))) return;
      await client.query(`DECLARE rxadd NO SCROLL CURSOR FOR ${selectRows(table, read)}`);
      for (let limit = fewRows; ; ) {
        // What a cursor has given it does not give again.
        const found = await this.#rowsOf(
          client,
          `FETCH ${limit} FROM rxadd`,
          limit,
          Number.POSITIVE_INFINITY,
        );
        if (found.rows.length === 0) return;
        await tell(table, found.rows);
        limit = nextChunkRows(limit, found);
      }
    });
  }

  /** Works within one moment of a table; undefined: it is not published, or is no more. */
  async #within<A>(
    read: TableRead,
    work: (client: Client, table: Table) => Promise<A>,
  ): Promise<A | undefined> {
    try {
      return await this.#ask((client) => this.#inTransaction(client, read, work));
    } catch (error) {
      throw refusalOf(error, read) ?? postgresErrorOf(error, this.#config.connectionString ?? "");
    }
  }

  async #inTransaction<A>(
    client: Client,
    read: TableRead,
    work: (client: Client, table: Table) => Promise<A>,
  ): Promise<A | undefined> {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    try {
      // Nobody changes its columns between the look at them and the rows.
      if (!(await lock(client, read))) return undefined;
      const table = await describeTable(client, this.#publication, read);
      return table && (await work(client, table));
    } finally {
      await client.query("COMMIT").catch(() => {});
    }
  }

  /** Leaves a word in the log that everything up to now stands before. */
  async mark(word: string): Promise<void> {
    await this.#ask((client) =>
      client.query("SELECT pg_logical_emit_message(true, $1, $2)", [watermark, word]),
    );
  }

  #ask<T>(question: (client: Client) => Promise<T>): Promise<T> {
    this.#connecting ??= this.#connect();
    const client = this.#connecting;
    const answer = this.#asked.then(
      () => client.then(question),
      () => client.then(question),
    );
    this.#asked = answer;
    return answer;
  }

  async #connect(): Promise<Client> {
    const client = new Client({ application_name: "rxadd snapshot", ...this.#config });
    client.on("error", this.#failed);
    takeMessages(client, {
      takes: (kind) => this.#rows !== undefined && kind === kinds.dataRow,
      take: (_kind, buffer, start, end) => {
        const bytes = this.#bytes + end - start;
        this.#isCut ||= bytes > this.#mostBytes && this.#rows?.length !== 0;
        if (this.#isCut) return;
        this.#rows?.push({ buffer, start, end });
        this.#bytes = bytes;
      },
      failed: this.#failed,
    });
    await client.connect();
    // A standby that is away must not hold up a watermark; a policy that hides rows must not do so in silence.
    await client.query(
      `${plainText}; SET synchronous_commit = local; SET row_security = off; ${sessionTimeouts}`,
    );
    return client;
  }

  async #rowsOf(
    client: Client,
    sql: string,
    limit: number,
    mostBytes = maxBytes,
  ): Promise<Pick<RowsRead, "rows" | "bytes" | "isLast">> {
    const rows: SentRow[] = [];
    this.#rows = rows;
    this.#mostBytes = mostBytes;
    this.#bytes = 0;
    this.#isCut = false;
    try {
      await client.query(sql);
    } finally {
      this.#rows = undefined;
    }
    return { rows, bytes: this.#bytes, isLast: !this.#isCut && rows.length < limit };
  }
}

/** What the user may not read. */
function refusalOf(error: unknown, table: TableName): RxaddError | undefined {
  if (!(error instanceof DatabaseError) || error.code !== "42501") return undefined;
  return postgresError(
    "PermissionDenied",
    `snapshot: table ${shownTable(table)}: ${error.message}; GRANT SELECT ON it, and give a user whom policies hide rows from BYPASSRLS`,
    error,
  );
}

async function look(client: Client): Promise<Visibility> {
  const { rows } = await client.query("SELECT pg_current_snapshot()::text AS seen");
  return new Visibility(rows[0].seen);
}

/** Returns whether there is such a table. */
async function lock(client: Client, table: TableName): Promise<boolean> {
  try {
    await client.query(`LOCK TABLE ${quotedTable(table)} IN ACCESS SHARE MODE`);
    return true;
  } catch (error) {
    if (error instanceof DatabaseError && noSuch.has(error.code)) return false;
    throw error;
  }
}
