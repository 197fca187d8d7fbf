import { redisSink, replicate } from "../../../src/index.ts";
import { type PostgresOptions, postgresChanges } from "../../../src/sources/postgres/index.ts";

/** What a process that brings a table into a stream is told. */
export interface SnapshotOrder {
  readonly source: Pick<
    PostgresOptions,
    "connectionString" | "slot" | "publication" | "tables" | "snapshot" | "snapshotConnections"
  >;
  readonly uri: string;
  readonly stream: string;
}

// Killed and started again at random; it does not outlive the process that has started it.
process.stdin.resume().once("close", () => process.exit());

const { source, uri, stream }: SnapshotOrder = JSON.parse(process.argv[2] ?? "");
const retry = { initialMs: 20, maxMs: 200 };

replicate({
  source: postgresChanges(source),
  sink: redisSink({ id: "shop", uri, stream, retry }),
}).subscribe();
