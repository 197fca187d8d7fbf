import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { expect, type TestContext } from "vitest";
import type { Row } from "../../../src/index.ts";
import type { PostgresServer } from "../../kit/servers/postgresServer.ts";
import type { RedisServer } from "../../kit/servers/redisServer.ts";
import { waitUntil } from "../../kit/time/waitUntil.ts";
import { appendOnlyFileOf, fix } from "./appendOnlyFile.ts";
import { seed } from "./form.ts";
import { type Random, randomOf } from "./random.ts";
import { RebuiltTable } from "./rebuiltTable.ts";
import { type Row as FaultRow, recordRow } from "./row.ts";
import { makeTable, type Shape, startUpdates, startWork } from "./rowWork.ts";
import { SnapshotProcess } from "./snapshotProcess.ts";
import type { SnapshotOrder } from "./snapshotProgram.ts";

/** The servers, which are there already. */
export interface SnapshotServers {
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
}

/** A table with so many rows, what changes them, the process that reads them, and what the stream tells. */
export class SnapshotScene {
  readonly random: Random = randomOf(seed);
  readonly order: SnapshotOrder;
  readonly rebuilt: RebuiltTable;
  readonly process: SnapshotProcess;
  readonly #servers: SnapshotServers;
  readonly #shape: Shape;
  readonly #rows: number;
  readonly #context: TestContext;
  #client: Client | undefined;

  /** Makes it; what it is made of goes with the test. */
  static async open(
    context: TestContext,
    servers: SnapshotServers,
    shape: Shape,
    rows: number,
    snapshot: NonNullable<SnapshotOrder["source"]["snapshot"]>,
  ): Promise<SnapshotScene> {
    const scene = new SnapshotScene(context, servers, shape, rows, snapshot);
    context.onTestFailed(() => console.error(`to run this schedule again: RXADD_SEED=${seed}`));
    context.onTestFinished(() => scene.#close());
    await makeTable(await scene.#db(), shape, rows);
    return scene;
  }

  private constructor(
    context: TestContext,
    servers: SnapshotServers,
    shape: Shape,
    rows: number,
    snapshot: NonNullable<SnapshotOrder["source"]["snapshot"]>,
  ) {
    const { connectionString } = servers.postgres;
    const { table, key, partitions = 1 } = shape;
    this.order = {
      source: {
        ...{ connectionString, slot: table, publication: table, tables: [`public.${table}`], snapshot },
        // Of several tables, one has to wait for the others.
        snapshotConnections: Math.max(1, partitions - 1),
      },
      uri: servers.redis.uri,
      stream: table,
    };
    this.rebuilt = new RebuiltTable(servers.redis.client, table, key);
    this.process = new SnapshotProcess(this.order);
    this.#servers = servers;
    this.#shape = shape;
    this.#rows = rows;
    this.#context = context;
  }

  /** Changes rows until the function that it returns is called. */
  work(): () => Promise<void> {
    return this.#untilTheEnd(
      startWork(this.order.source.connectionString, this.#shape, this.#rows, this.random),
    );
  }

  /** The same, by so many updates a second. */
  updates(perSecond: number): () => Promise<void> {
    return this.#untilTheEnd(
      startUpdates(this.order.source.connectionString, this.#shape, this.#rows, perSecond),
    );
  }

  async killProcess(): Promise<void> {
    await this.process.kill();
    await this.process.start();
  }

  async restartPostgres(): Promise<void> {
    await this.#servers.postgres.restart();
  }

  async killRedis(): Promise<void> {
    const { redis } = this.#servers;
    const aof = await appendOnlyFileOf(redis.client);
    await redis.signal("SIGKILL");
    fix(aof);
    await redis.start();
  }

  /** Follows the stream until it is as asked. */
  async until(asked: () => boolean): Promise<void> {
    while (!asked()) {
      this.process.check();
      if (await this.rebuilt.follow()) await delay(2);
    }
  }

  /** Whether the newest change says that no row is left to be read. */
  isRead(): boolean {
    return this.rebuilt.newest?.position?.includes("@") === false;
  }

  /** Resolves when every row is read, and every change up to now is there. */
  async caughtUp(): Promise<void> {
    const { table, keyOf } = this.#shape;
    for (let mark = 1; ; mark += 1) {
      const db = await this.#db();
      await db.query(`INSERT INTO ${table} VALUES (${keyOf(-8 * mark)}, 1, -${mark}, 'mark')`);
      await this.until(() => this.rebuilt.mark?.after?.amount === -mark);
      if (!this.rebuilt.mark?.position?.includes("@")) return;
      await delay(50);
    }
  }

  async rowsThere(): Promise<readonly Row[]> {
    return (await (await this.#db()).query(`SELECT * FROM ${this.#shape.table}`)).rows;
  }

  /** Compares with the table as it is, and gives the line to the table of faults. */
  async compare(row: Pick<FaultRow, "fault" | "times" | "promise">) {
    await this.process.kill();
    const rows = await this.rowsThere();
    const { duplicates, inversions, events } = this.rebuilt;
    const lost = this.rebuilt.differences(rows);
    const { memoryMiB } = this.process;
    recordRow(this.#context.task, { ...row, events, lost, duplicates, inversions, memoryMiB });
    return { lost, duplicates, inversions };
  }

  #untilTheEnd(end: () => Promise<void>): () => Promise<void> {
    this.#context.onTestFinished(end);
    return end;
  }

  /** A client whose server has not been started anew since. */
  async #db(): Promise<Client> {
    if (this.#client !== undefined) return this.#client;
    const client = new Client(this.order.source.connectionString);
    client.on("error", () => {});
    client.once("end", () => {
      this.#client = undefined;
    });
    await client.connect();
    this.#client = client;
    return client;
  }

  async #close(): Promise<void> {
    await this.process.kill();
    const db = await this.#db();
    const active = () => db.query("SELECT FROM pg_replication_slots WHERE active");
    await waitUntil(async () => (await active()).rowCount === 0);
    await db.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
    await db.query(`DROP PUBLICATION IF EXISTS ${this.#shape.table}`);
    await db.query(`DROP TABLE ${this.#shape.table}`);
    await db.end();
    await this.#servers.redis.client.flushall();
  }
}

/** What is promised. */
export function expectTable(found: Awaited<ReturnType<SnapshotScene["compare"]>>): void {
  expect(found).toEqual({ lost: 0, duplicates: 0, inversions: 0 });
}
