import fc from "fast-check";
import { vi } from "vitest";
import { isLsn, type Lsn, ordLsn } from "../../../src/event/lsn.ts";
import { readsOf, type TableRead } from "../../../src/sources/postgres/snapshot/tableRead.ts";
import { type Random, randomOf } from "../../faults/harness/random.ts";
import { FakeDatabase, idOf, type Key, type Texts, type Transaction } from "./fakeDatabase.ts";
import { type Change, Life, slot } from "./life.ts";

const doings = {
  go: 30,
  write: 10,
  work: 5,
  finish: 6,
  truncate: 0.5,
  alter: 0.5,
  rekey: 1,
  drop: 0.5,
  pause: 1.5,
  resume: 3,
  acknowledge: 2,
  crash: 1,
  lose: 0.7,
  request: 1.5,
  anew: 0.7,
  allow: 0.5,
} as const;
type Doing = keyof typeof doings;

/** What happens, each with a number that decides how. */
export const histories = fc.record({
  seed: fc.nat(),
  most: fc.integer({ min: 1, max: 5 }),
  knowsIdle: fc.boolean(),
  isHostile: fc.boolean(),
  /** Whether nothing happens after which rows may be read more than once. */
  isPlain: fc.integer({ min: 0, max: 2 }).map((one) => one === 0),
  /** Whether a few changes are as many as are noted while rows are read. */
  isLarge: fc.boolean(),
  /** Whether the sink has to get all rows that are there; else it has them, and some are asked for. */
  isInitial: fc.integer({ min: 0, max: 3 }).map((one) => one > 0),
  keys: fc.array(fc.constantFrom<Key>("id", "id", "code", "none"), { minLength: 1, maxLength: 4 }),
  steps: fc.array(
    fc.tuple(
      fc.oneof(
        ...(Object.keys(doings) as Doing[]).map((doing) => ({
          weight: 10 * doings[doing],
          arbitrary: fc.constant(doing),
        })),
      ),
      fc.nat(),
    ),
    { minLength: 10, maxLength: 200, size: "max" },
  ),
});
export type History = typeof histories extends fc.Arbitrary<infer A> ? A : never;

const settle = setImmediate;
const settled = () => new Promise<void>((resolve) => settle(resolve));

/** One history; what is wrong with it, if anything is. */
export async function wrongWith(history: History): Promise<string | undefined> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  const run = new Run(history);
  try {
    return await run.all();
  } finally {
    run.end();
    vi.useRealTimers();
  }
}

interface Stored {
  readonly position: Lsn;
  readonly event: Change | undefined;
}

class Run {
  readonly #history: History;
  readonly #database = new FakeDatabase();
  readonly #random: Random;
  #life: Life;
  /** What the sink has: events, and places that were passed. */
  #stored: Stored[] = [];
  #acknowledged = 0;
  #isAllowed = true;
  #isCalm = false;
  #wrong: string | undefined;
  #notes = 0;
  readonly #had = new Map<string, ReadonlyMap<number, Texts>>();

  constructor(history: History) {
    this.#history = history;
    this.#random = randomOf(history.seed);
    const fill = this.#database.begin();
    for (const [index, key] of history.keys.entries()) {
      const table = `t${index}`;
      this.#database.create(table, key);
      for (let count = this.#random.between(0, 25); count > 0; count -= 1)
        this.#database.insert(
          fill,
          table,
          this.#random.between(1, 40),
          this.#random.between(0, 99),
          this.#note(),
        );
    }
    this.#database.commit(fill, true);
    // It was there before the slot.
    this.#database.log.pop();
    for (const name of this.#database.names) this.#had.set(name, this.#database.seenRows(name));
    this.#database.changes.splice(0);
    this.#life = this.#start(this.#first, 0n);
  }

  async all(): Promise<string | undefined> {
    for (const [doing, number] of this.#history.steps) {
      if (doing === "go") await this.#go(randomOf(number));
      else this.#take(doing, randomOf(number));
      await settled();
      if (this.#wrong !== undefined || this.#life.errors.length > 0) break;
    }
    if (this.#wrong === undefined && this.#life.errors.length === 0) await this.#calm();
    if (this.#life.errors.length > 0)
      return `failed: ${this.#life.errors.map((error) => (error instanceof Error ? error.stack : error)).join()}`;
    return this.#wrong ?? this.#differs();
  }

  /** Time goes by: answers come, and what the log has. */
  async #go({ between, oneOf }: Random): Promise<void> {
    const only = between(0, 3);
    for (let count = between(1, 20); count > 0; count -= 1) {
      const busy = this.#life.readers.filter(({ isBusy }) => isBusy);
      const what = oneOf("answer", "answer", "answer", "answer", "deliver", "wait");
      // Some are faster than others.
      if (what === "answer")
        (this.#life.readers[only]?.isBusy
          ? this.#life.readers[only]
          : busy[between(0, busy.length - 1)]
        )?.step();
      else if (what === "deliver") this.#life.deliver(between(1, 12));
      else vi.advanceTimersByTime(between(10, 60));
      await settled();
    }
  }

  end(): void {
    this.#life.end();
  }

  #note(): string {
    this.#notes += 1;
    return `n${this.#notes}`;
  }

  #start(from: Lsn | undefined, confirmed: bigint): Life {
    const { most, knowsIdle, isLarge } = this.#history;
    let life: Life | undefined;
    const made = new Life({
      ...{ database: this.#database, most, knowsIdle, isLarge, from, confirmed },
      isAllowed: () => this.#isAllowed,
      connections: this.#random.between(1, 4),
      told: (event) => this.#told(event, () => life),
      passed: (position) => this.#store({ position, event: undefined }),
      progress: () => {
        if (!this.#history.isHostile || this.#isCalm) return;
        this.#behave(life);
        throw new Error("mine");
      },
    });
    life = made;
    return made;
  }

  get #first(): Lsn | undefined {
    return this.#history.isInitial ? undefined : ("0/1" as Lsn);
  }

  #store(stored: Stored): void {
    const last = this.#stored.at(-1);
    if (last !== undefined && ordLsn.compare(last.position, stored.position) >= 0)
      this.#wrong ??= `${stored.position} comes behind ${last.position}`;
    if (!isLsn(stored.position) || readsOf(stored.position) === undefined)
      this.#wrong ??= `no position: ${stored.position}`;
    this.#stored.push(stored);
  }

  #told(event: Change, life: () => Life | undefined): void {
    if (event.position === undefined) this.#wrong ??= "an event without a position";
    else this.#store({ position: event.position, event: structuredClone(event) });
    if (!this.#history.isHostile || this.#isCalm) return;
    for (const key of Object.keys(event.after ?? {})) Object.assign(event.after ?? {}, { [key]: "mine" });
    for (const key of Object.keys(event.before ?? {})) Object.assign(event.before ?? {}, { [key]: "mine" });
    this.#behave(life());
  }

  /** What a user does within an event. */
  #behave(life: Life | undefined): void {
    const what = this.#random.between(0, 11);
    if (what === 0) life?.flow("pause");
    else if (what === 1) {
      life?.flow("pause");
      life?.flow("resume");
    } else if (what === 2) life?.flow("resume");
    else if (what === 3) this.#acknowledge(this.#random);
    else if (what === 4 && this.#random.between(0, 5) === 0) life?.end();
  }

  #acknowledge({ between }: Random): void {
    if (this.#stored.length <= this.#acknowledged) return;
    this.#acknowledged = between(this.#acknowledged + 1, this.#stored.length);
    const stored = this.#stored[this.#acknowledged - 1];
    if (stored !== undefined) this.#life?.acknowledge(stored.position);
  }

  #take(doing: Exclude<Doing, "go">, random: Random): unknown {
    const { between, oneOf } = random;
    const database = this.#database;
    const life = this.#life;
    const name = `t${between(0, this.#history.keys.length - 1)}`;
    const { unfinished } = database;
    if (this.#history.isPlain && ["request", "anew", "rekey", "drop"].includes(doing)) return undefined;
    const some = unfinished[between(0, unfinished.length - 1)];
    switch (doing) {
      case "write": {
        const transaction = database.begin();
        this.#change(transaction, name, random);
        return database.commit(transaction, between(0, 4) > 0);
      }
      case "work": {
        const open = unfinished.filter(({ state }) => state === "open");
        const isMore = open.length === 0 || (open.length < 3 && between(0, 1) === 0);
        const transaction = isMore ? database.begin() : open[between(0, open.length - 1)];
        for (let count = between(1, 3); count > 0; count -= 1)
          if (transaction !== undefined)
            this.#change(transaction, `t${between(0, this.#history.keys.length - 1)}`, random);
        return undefined;
      }
      case "finish":
        if (some === undefined) return undefined;
        if (some.state === "committed") return database.see(some);
        if (between(0, 5) === 0) return database.rollback(some);
        return database.commit(some, between(0, 2) > 0);
      case "truncate": {
        const transaction = database.begin();
        database.truncate(transaction, name);
        if (between(0, 1) === 0) this.#change(transaction, name, random);
        return database.commit(transaction, between(0, 1) === 0);
      }
      case "alter": {
        const columns = database.shape(name)?.columns ?? [];
        if (columns.length < 7) database.alter(name, { columns: [...columns, `more${columns.length}`] });
        return undefined;
      }
      case "rekey":
        return database.alter(
          name,
          oneOf<object>({ key: "id" }, { key: "code" }, { key: "none" }, { isFull: between(0, 1) === 0 }),
        );
      case "drop":
        if (database.shape(name) === undefined) database.create(name, oneOf("id", "code", "none"));
        else database.drop(name);
        return undefined;
      case "pause":
        return life.flow("pause");
      case "resume":
        return life.flow("resume");
      case "acknowledge":
        return this.#acknowledge(random);
      case "crash":
        return this.#crash(random);
      case "lose":
        return life.lose();
      case "request": {
        const transaction = database.begin();
        if (between(0, 2) === 0) this.#change(transaction, name, random);
        database.request(transaction, slot, requestOf(name, random));
        if (between(0, 2) === 0) this.#change(transaction, name, random);
        return database.commit(transaction, true);
      }
      case "anew":
        return life.snapshot?.askAnew();
      case "allow":
        this.#isAllowed = !this.#isAllowed;
        return undefined;
    }
  }

  #change(transaction: Transaction, table: string, { between }: Random): void {
    const database = this.#database;
    const ids = [...database.seenRows(table).keys()];
    const some = ids[between(0, ids.length - 1)];
    const id = some !== undefined && between(0, 4) > 0 ? some : between(1, 40);
    const amount = between(0, 99);
    const what = between(0, 9);
    if (what < 3) database.insert(transaction, table, between(1, 40), amount, this.#note());
    else if (what < 5) database.update(transaction, table, id, { amount });
    else if (what === 5) database.update(transaction, table, id, { note: this.#note() });
    else if (what < 8)
      database.update(transaction, table, id, this.#history.isPlain ? { amount } : { to: between(1, 40) });
    else database.delete(transaction, table, id);
  }

  /** The process is gone, and so may be what the sink had not said was safe. */
  #crash({ between, oneOf }: Random): void {
    this.#life.end();
    const confirmed = this.#life.confirmed();
    this.#stored.splice(oneOf(this.#stored.length, between(this.#acknowledged, this.#stored.length)));
    this.#life = this.#start(this.#stored.at(-1)?.position ?? this.#first, confirmed);
  }

  /** All ends: what is open, what waits, what is left to be read. */
  async #calm(): Promise<void> {
    this.#isCalm = true;
    this.#isAllowed = true;
    // Else it has to get on as it is.
    if (this.#life.isEnded || this.#random.between(0, 1) === 0) this.#crash(this.#random);
    for (const each of this.#database.unfinished) {
      if (each.state === "open") this.#database.commit(each, true);
      else this.#database.see(each);
    }
    for (let round = 0; round < 3000; round += 1) {
      if (this.#life.errors.length > 0 || this.#wrong !== undefined) return;
      const life = this.#life;
      life.flow("resume");
      // What came last may wait for whoever paused within it.
      if (life.snapshot?.text === "" && life.isThrough() && !life.isPaused) return;
      life.deliver(10);
      for (const reader of life.readers) reader.step();
      if (round % 5 === 0) vi.advanceTimersByTime(50);
      await settled();
    }
    this.#wrong = `it hangs at ${this.#life.snapshot?.text}, ${this.#life.isHeld() ? "held" : "not held"}`;
  }

  #differs(): string | undefined {
    const database = this.#database;
    const events = this.#stored.flatMap(({ event }) => event ?? []);
    const told = events.flatMap(({ id, transaction }) =>
      transaction === undefined ? [] : [id.replace("db/", "")],
    );
    const isTold = new Set(told);
    const due = database.changes.flatMap(([place, table]) =>
      !isTold.has(place) && database.wereKeyless.has(table) ? [] : [place],
    );
    if (`${told}` !== `${due}`)
      return `told changes ${told.filter((place) => !due.includes(place))} lacks ${due.filter((place) => !isTold.has(place))}`;
    const reads = events.flatMap(({ op, source, after }) =>
      op === "r" && !database.wereKeyless.has(`${source.table}`) ? [`${source.table}/${after?.id}`] : [],
    );
    const isReadTwice = new Set(reads).size < reads.length;
    if (isReadTwice && this.#history.isPlain) return `rows were read twice: ${reads}`;
    const part = events.find(({ op, after }) => op === "r" && after?.note === undefined);
    if (part !== undefined) return `a row without all columns: ${JSON.stringify(part)}`;
    for (const index of this.#history.keys.keys()) {
      const table = `t${index}`;
      const had = this.#history.isInitial ? new Map() : this.#had.get(table);
      const { rows: there, doubled } = rebuilt(
        events.filter(({ source }) => source.table === table),
        had,
      );
      if (!database.wereKeyed.has(table) && doubled.size > 0)
        return `${table} ${[...doubled]} is there twice`;
      const rows = database.seenRows(table);
      for (const id of new Set([...there.keys(), ...rows.keys()])) {
        const [found, row] = [there.get(id), rows.get(id)];
        const isSame =
          found !== undefined &&
          row !== undefined &&
          ["id", "code", "amount", "note"].every((column) => `${found[column]}` === row[column]);
        if (!isSame) return `${table} ${id}: ${JSON.stringify(found)} is not ${JSON.stringify(row)}`;
      }
    }
    return undefined;
  }
}

function requestOf(name: string, { between, oneOf }: Random): Pick<TableRead, "name" | "isAnew" | "scope"> {
  const what = oneOf("all", "anew", "where");
  const scope: TableRead["scope"] = what === "where" ? [["amount", "<", `${between(1, 99)}`]] : [];
  return { name, isAnew: what === "anew", scope };
}

function rebuilt(events: readonly Change[], had: ReadonlyMap<number, Texts> = new Map()) {
  const rows = new Map<number, Record<string, unknown>>(had);
  const keyOf = (row: Readonly<Record<string, unknown>>) =>
    row.id === undefined ? idOf(Number(row.code)) : Number(row.id);
  /** Rows that whoever knows no key has twice. */
  const doubled = new Set<number>();
  for (const { op, before, after } of events) {
    if (op === "t") rows.clear();
    if (op === "t") doubled.clear();
    const old = before ?? after;
    const was = old === null ? undefined : rows.get(keyOf(old));
    if (before !== null) rows.delete(keyOf(before));
    if (after !== null && before === null && was !== undefined) doubled.add(keyOf(after));
    if (after !== null) rows.set(keyOf(after), { ...was, ...after });
  }
  return { rows, doubled };
}
