import type { Redis } from "ioredis";
import { ordLsn } from "../../../src/event/lsn.ts";
import type { ChangeEvent, Lsn, Row } from "../../../src/index.ts";

type Change = ChangeEvent<Row, Lsn>;

/** A table, made of what a stream tells of it, and what is wrong with what it tells. */
export class RebuiltTable {
  readonly rows = new Map<string, Row>();
  events = 0;
  /** How many rows were read, and not changed. */
  reads = 0;
  /** Events that stand behind one of their position, or of a later one. */
  duplicates = 0;
  /** Events that do not follow what was told of their row before. */
  inversions = 0;
  newest: Change | undefined;
  /** The newest row that was inserted with the note `mark`. */
  mark: Change | undefined;
  /** Of each change, how long after its commit its entry was made. */
  readonly lagsMs: number[] = [];
  readonly #client: Redis;
  readonly #stream: string;
  readonly #key: readonly string[];
  #start = "-";
  #position: Lsn | undefined;

  constructor(client: Redis, stream: string, key: readonly string[]) {
    this.#client = client;
    this.#stream = stream;
    this.#key = key;
  }

  #keyOf(row: Row): string {
    return JSON.stringify(this.#key.map((name) => row[name]));
  }

  /** Takes what the stream has behind what was taken; returns whether that is everything for now. */
  async follow(): Promise<boolean> {
    const page = await this.#client.xrange(this.#stream, this.#start, "+", "COUNT", 2000);
    for (const [id, [, event = ""]] of page) {
      this.#start = `(${id}`;
      const change: Change = JSON.parse(event);
      this.#take(change);
      if (change.op !== "r") this.lagsMs.push(Number.parseInt(id, 10) - change.ts_ms);
    }
    return page.length < 2000;
  }

  #take(change: Change): void {
    const { op, before, after, position } = change;
    this.events += 1;
    this.newest = change;
    if (op === "c" && after?.note === "mark") this.mark = change;
    if (position !== undefined) {
      if (this.#position !== undefined && ordLsn.compare(this.#position, position) >= 0) this.duplicates += 1;
      this.#position = position;
    }
    if (op === "r") this.reads += 1;
    const old = this.rows.get(this.#keyOf(before ?? after ?? {}));
    const version = Number(after?.version);
    // Of a row that was not read yet nothing is known.
    const expected =
      op === "c" ? 1 : old === undefined ? version : Number(old.version) + (op === "u" ? 1 : 0);
    if (after !== null && version !== expected) this.inversions += 1;
    if (op === "c" && old !== undefined) this.inversions += 1;
    if (before !== null) this.rows.delete(this.#keyOf(before));
    if (after !== null) this.rows.set(this.#keyOf(after), { ...old, ...after });
  }

  /** How many of a table's rows are not here as they are there, or are here alone. */
  differences(rows: readonly Row[]): number {
    const there = new Set<string>();
    let differing = 0;
    for (const row of rows) {
      const key = this.#keyOf(row);
      const found = this.rows.get(key);
      there.add(key);
      if (found === undefined || Object.entries(row).some(([name, value]) => found[name] !== value))
        differing += 1;
    }
    for (const key of this.rows.keys()) if (!there.has(key)) differing += 1;
    return differing;
  }
}
