import { afterEach } from "vitest";
import type { ChangeEvent, Lsn, Row } from "../../../../src/index.ts";
import { valueReader } from "../../../../src/sources/postgres/columnValues.ts";
import type { SentRow, TableChange } from "../../../../src/sources/postgres/snapshot/chunk.ts";
import { Snapshot } from "../../../../src/sources/postgres/snapshot/snapshot.ts";
import type { Table } from "../../../../src/sources/postgres/snapshot/table.ts";
import type { TableRead } from "../../../../src/sources/postgres/snapshot/tableRead.ts";
import { type RowsRead, watermark } from "../../../../src/sources/postgres/snapshot/tableReader.ts";
import { Visibility } from "../../../../src/sources/postgres/snapshot/visibility.ts";
import type { SnapshotProgress } from "../../../../src/telemetry/snapshotProgress.ts";
import { untilNothingWrong } from "../../../kit/time/untilNothingWrong.ts";

export const orders = { schema: "public", name: "orders" };
export const all: TableRead = { ...orders, after: undefined, isAnew: false, scope: "onward" as const };
export const columns = ["id", "amount", "note"].map((name) => ({
  name,
  isKey: name === "id",
  read: valueReader(name === "note" ? 25 : 23),
}));
export const table: Table = {
  ...{
    ...orders,
    columns,
    key: [0],
    keyTypes: ["int"],
    by: "k",
    estimated: 3,
    from: "orders",
    filter: undefined,
  },
};

/** A row as the server sends it. */
function sent(values: readonly unknown[]): SentRow {
  const parts = [Buffer.from([0, values.length])];
  for (const value of values) {
    const text = Buffer.from(`${value}`);
    const length = Buffer.alloc(4);
    length.writeInt32BE(text.length);
    parts.push(length, text);
  }
  const buffer = Buffer.concat(parts);
  return { buffer, start: 0, end: buffer.length };
}

const snapshots: Snapshot[] = [];
afterEach(() => {
  for (const snapshot of snapshots.splice(0)) snapshot.close();
});

/** Tables side by side, and how many are read at a time. */
export interface Bench {
  readonly tables?: readonly string[];
  readonly workers?: number;
  /** What the user does who is told how far it is. */
  readonly heard?: () => void;
}

/** A snapshot over tables that live here, whose every step is taken by the test. */
export function bench(
  reads: readonly TableRead[] = [all],
  { tables = ["orders"], workers = 1, heard = () => {} }: Bench = {},
) {
  const events: ChangeEvent<Row, Lsn>[] = [];
  const failures: unknown[] = [];
  const progress: SnapshotProgress[] = [];
  const asked: TableRead[] = [];
  let answers: {
    readonly name: string;
    readonly resolve: (found: RowsRead | undefined) => void;
    readonly reject: (error: unknown) => void;
  }[] = [];
  const words: string[] = [];
  let seen = "10:10:";
  let looks = 0;
  let isHeld = false;
  let isPaused = false;
  const held: (() => unknown)[] = [];
  let commits = 0;
  let pauseAt = 0;
  let fails: (error: unknown) => void = () => {};
  const snapshot = new Snapshot({
    ...{ db: "db", reads, tables: tables.map((name) => ({ schema: "public", name })) },
    emit: (event) => {
      events.push(event);
      if (events.length === pauseAt) isPaused = true;
    },
    failed: (error) => failures.push(error),
    isPaused: () => isPaused,
    hold: (isToBe) => {
      isHeld = isToBe;
      if (!isHeld) held.splice(0).forEach((take) => void take());
    },
    progress: {
      next: (each) => {
        progress.push(each);
        heard();
      },
    },
    readers: Array.from({ length: workers }, () => ({
      look: async () => {
        looks += 1;
        return { seen: new Visibility(seen), open: new Set<number>() };
      },
      read: (read: TableRead) => {
        asked.push(read);
        return new Promise<RowsRead | undefined>((resolve, reject) => {
          answers.push({ name: read.name, resolve, reject });
        });
      },
      mark: (word: string) => {
        words.push(word);
        return new Promise<void>((_, reject) => {
          fails = reject;
        });
      },
      readWhole: async () => {},
      rest: () => fails(new Error("Connection terminated")),
    })),
  });
  snapshots.push(snapshot);
  const until = (isSo: () => boolean, what: string) =>
    untilNothingWrong(async () => (isSo() ? undefined : `no ${what}`));

  return {
    ...{ events, failures, progress, asked, snapshot, table },
    isHeld: () => isHeld,
    /** What the log has behind where it is held: it comes as soon as it is let go. */
    holding: (take: () => unknown) => held.push(take),
    looks: () => looks,
    sees: (text: string) => {
      seen = text;
    },
    /** Rows are asked for. */
    asking: (questions = 1) => until(() => answers.length === questions, "question"),
    /** They are these. */
    answer: (rows: readonly (readonly unknown[])[], isLast = true, name = "orders") => {
      const of = { ...table, name };
      const found = { table: of, rows: rows.map(sent), bytes: 10, seen: new Visibility(seen), isLast };
      for (const answer of answers) if (answer.name === name) answer.resolve(found);
      answers = answers.filter((answer) => answer.name !== name);
    },
    /** There is no such table, or nobody may read it. */
    gone: (error?: unknown) => {
      for (const { resolve, reject } of answers.splice(0))
        error === undefined ? resolve(undefined) : reject(error);
    },
    /** A change that is told, and the event as its reader has it. */
    change: (
      op: "c" | "u" | "d",
      before: Row | null,
      after: Row | null,
      more: Partial<TableChange> = {},
    ): ChangeEvent<Row, Lsn> => {
      commits += 1;
      const change = { table, xid: 100, op, before, after, unchanged: [], bytes: 100, ...more };
      const position = `0/${commits}:1${snapshot.changed(change)}` as Lsn;
      const source = { connector: "postgresql", db: "db", schema: "public", table: "orders" };
      const event = { id: position, op, ts_ms: 0, source, before, after, position };
      events.push(event);
      return event;
    },
    marked: (pieces = 1) => until(() => words.length === pieces, "watermark"),
    /** Pauses at so many events. */
    pauseAt: (count: number) => {
      pauseAt = count;
    },
    goOn: () => {
      isPaused = false;
      snapshot.resume();
    },
    /** The log comes to the watermark. */
    reach: () => {
      commits += 1;
      for (const word of words.splice(0)) {
        const message = { prefix: watermark, content: Buffer.from(word), isTransactional: true };
        snapshot.message(message, { lsn: `0/${commits}` as Lsn, xid: 200, ts_ms: 0 });
      }
    },
    /** What is there, by all that was told. */
    rebuilt: () => {
      const rows = new Map<unknown, Row>();
      for (const { op, before, after } of events) {
        if (op === "t") rows.clear();
        if (before !== null) rows.delete(before.id);
        if (after !== null) rows.set(after.id, { ...rows.get(after.id), ...after });
      }
      return [...rows.values()].map(({ id, amount, note }) => `${id} ${amount} ${note}`).sort();
    },
  };
}
