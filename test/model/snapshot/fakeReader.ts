import { postgresError } from "../../../src/sources/postgres/postgresError.ts";
import type { SentRow } from "../../../src/sources/postgres/snapshot/chunk.ts";
import type { SnapshotReader } from "../../../src/sources/postgres/snapshot/snapshotWorker.ts";
import type { Table } from "../../../src/sources/postgres/snapshot/table.ts";
import type { TableRead } from "../../../src/sources/postgres/snapshot/tableRead.ts";
import { type Found, watermark } from "../../../src/sources/postgres/snapshot/tableReader.ts";
import type { Visibility } from "../../../src/sources/postgres/snapshot/visibility.ts";
import type { FakeDatabase } from "./fakeDatabase.ts";

/** A question: when the server comes to it, and when its answer is here. */
interface Asked {
  /** Returns whether it could: it may wait for a lock. */
  readonly run: () => boolean;
  readonly answer: () => void;
  readonly reject: (error: unknown) => void;
  hasRun: boolean;
}

/** How the reader behaves. */
export interface ReaderOptions {
  readonly database: FakeDatabase;
  /** So many rows are a piece at most. */
  readonly most: number;
  /** Whether it is told which transactions are idle. */
  readonly knowsIdle: boolean;
  /** Whether the rows of a request may be read. */
  readonly isAllowed: () => boolean;
}

/** A connection whose every step is taken from outside. */
export class FakeReader implements SnapshotReader {
  readonly #options: ReaderOptions;
  #asked: Asked[] = [];

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  get isBusy(): boolean {
    return this.#asked.length > 0;
  }

  /** The server comes to the next question, or its answer is here. */
  step(): void {
    const [next] = this.#asked;
    if (next === undefined) return;
    if (!next.hasRun) {
      next.hasRun = next.run();
      return;
    }
    this.#asked.shift();
    next.answer();
  }

  rest(): void {
    for (const { reject } of this.#asked.splice(0)) reject(new Error("Connection terminated"));
  }

  look(): ReturnType<SnapshotReader["look"]> {
    const { database, knowsIdle } = this.#options;
    return this.#ask(() => ({
      answer: { seen: database.moment(), open: knowsIdle ? database.open : new Set<number>() },
    }));
  }

  mark(word: string): Promise<void> {
    const { database } = this.#options;
    return this.#ask(() => {
      const transaction = database.begin();
      database.say(transaction, watermark, word);
      database.commit(transaction, true);
      return { answer: undefined };
    });
  }

  async read(read: TableRead, limit: number): Promise<Found | undefined> {
    const { database, most, isAllowed } = this.#options;
    const answer = await this.#ask<Found | "refused" | undefined>(() => {
      if (!database.isReadable(read.name)) return undefined;
      const table = database.describe(read.name);
      if (table === undefined) return { answer: undefined };
      if (!isAllowed() && typeof read.scope === "object" && read.scope.length > 0)
        return { answer: "refused" };
      if (table.key.length === 0) return { answer: "keyless" };
      const all = database.select(read);
      const rows = all.slice(0, Math.min(limit, most));
      const isLast = rows.length < limit && rows.length === all.length;
      return { answer: { table, rows, bytes: 10, seen: database.moment(), isLast } };
    });
    if (answer === "refused") throw postgresError("PermissionDenied", "snapshot: no");
    return answer;
  }

  async readWhole(
    read: TableRead,
    begin: (seen: Visibility) => boolean,
    tell: (table: Table, rows: readonly SentRow[]) => Promise<void>,
  ): Promise<void> {
    const { database, most } = this.#options;
    const found = await this.#ask(() => {
      if (!database.isReadable(read.name)) return undefined;
      const table = database.describe(read.name);
      if (table !== undefined) database.shared.push(read.name);
      return {
        answer: table && {
          table,
          rows: database.select({ ...read, after: undefined }),
          seen: database.moment(),
        },
      };
    });
    if (found === undefined) return;
    try {
      if (!begin(found.seen)) return;
      for (let at = 0; at < found.rows.length; at += most) {
        await this.#ask(() => ({ answer: undefined }));
        await tell(found.table, found.rows.slice(at, at + most));
      }
    } finally {
      database.shared.splice(database.shared.indexOf(read.name), 1);
    }
  }

  #ask<A>(question: () => { readonly answer: A } | undefined): Promise<A> {
    return new Promise((resolve, reject) => {
      let found: { readonly answer: A } | undefined;
      const run = () => {
        found = question();
        return found !== undefined;
      };
      this.#asked.push({ run, answer: () => found && resolve(found.answer), reject, hasRun: false });
    });
  }
}
