import { leadsToCluster } from "../redis/inspect/inspection.ts";
import { laneLayout } from "../sink/lane/laneLayout.ts";
import { copyProblem, isSameDatabase } from "../sink/sameStream.ts";
import type { Config } from "./config.ts";

/** What a pipeline would take from one before it. */
export interface Conflict {
  /** Which pipeline. */
  readonly index: number;
  readonly message: string;
}

/** What is wrong with two pipelines in one process; undefined: nothing, as far as the settings tell. */
type Pair = (one: Config, other: Config) => string | undefined;

const pairs: readonly Pair[] = [nameProblem, sinkProblem, slotProblem, publicationProblem];

/** What is wrong with pipelines side by side, as far as the settings tell; of each kind once for each pipeline. */
export function conflicts(configs: readonly Config[]): readonly Conflict[] {
  const ofPairs = configs.flatMap((other, index) => {
    const before = configs.slice(0, index);
    const messages = pairs.map((pair) => firstOf(before, (one) => pair(one, other)));
    return messages.flatMap((message) => (message === undefined ? [] : { index, message }));
  });
  return [...ofPairs, ...circleConflicts(configs)];
}

function firstOf<A>(all: readonly A[], find: (one: A) => string | undefined): string | undefined {
  for (const one of all) {
    const found = find(one);
    if (found !== undefined) return found;
  }
  return undefined;
}

function nameProblem(one: Config, other: Config): string | undefined {
  return one.pipeline === other.pipeline
    ? `found several pipelines with the name ${one.pipeline}, expected a name for each, by which logs and metrics tell them apart`
    : undefined;
}

function namesOf(...configs: readonly Config[]): string {
  return `the pipelines ${configs.map(({ pipeline }) => pipeline).join(" and ")}`;
}

type SinkConfig = Config["sinks"][0]["config"];

/** Where it stands in Redis how far a sink is. */
function stateOf(config: SinkConfig): string {
  const layout = laneLayout(config, leadsToCluster(config.uri));
  return layout.kind === "one" ? layout.keys.state : layout.ledgerKey;
}

/** Each would fence the other, for ever. */
function sinkProblem(one: Config, other: Config): string | undefined {
  return firstOf(one.sinks, ({ config: a }) =>
    firstOf(other.sinks, ({ config: b }) =>
      a.id === b.id && stateOf(a) === stateOf(b) && isSameDatabase(a.uri, b.uri)
        ? `found sink ${a.id} in ${namesOf(one, other)}, of one stream, expected another id: an id has one writer`
        : undefined,
    ),
  );
}

function slotProblem(one: Config, other: Config): string | undefined {
  if (one.source?.type !== "postgres" || other.source?.type !== "postgres") return undefined;
  const [a, b] = [one.source.config, other.source.config];
  return a.slot === b.slot && serverOf(a.dsn) === serverOf(b.dsn)
    ? `found slot ${a.slot} in ${namesOf(one, other)}, of one server, expected another slot: a slot has one reader`
    : undefined;
}

function publicationProblem(one: Config, other: Config): string | undefined {
  if (one.source?.type !== "postgres" || other.source?.type !== "postgres") return undefined;
  const [a, b] = [one.source.config, other.source.config];
  return a.publication === b.publication &&
    serverOf(a.dsn) === serverOf(b.dsn) &&
    databaseOf(a.dsn) === databaseOf(b.dsn) &&
    a.tables !== undefined &&
    b.tables !== undefined &&
    tablesOf(a.tables) !== tablesOf(b.tables)
    ? `found publication ${a.publication} in ${namesOf(one, other)}, of other tables, expected another publication: one is of one list of tables`
    : undefined;
}

function tablesOf(tables: readonly string[]): string {
  return [...new Set(tables)].sort().join();
}

function databaseOf(dsn: string): string {
  return URL.canParse(dsn) ? new URL(dsn).pathname : dsn;
}

/** A server, as far as its URI tells: another name of a host is taken for another host. */
function serverOf(dsn: string): string {
  if (!URL.canParse(dsn)) return dsn;
  const { hostname, port, searchParams } = new URL(dsn);
  const host = (hostname || searchParams.get("host") || "localhost").toLowerCase();
  const isHere = /^(localhost|127(\.\d+){3}|\[?::1\]?)$/.test(host);
  return `${isHere ? "localhost" : host}:${port || searchParams.get("port") || "5432"}`;
}

/** Pipelines whose entries would go round for ever. */
function circleConflicts(configs: readonly Config[]): readonly Conflict[] {
  const copies = configs.flatMap((config, index) =>
    config.source?.type === "redis" ? { config, index } : [],
  );
  const feeding = new Map(
    copies.map((one) => [one, new Set(copies.filter((other) => feeds(one.config, other.config)))]),
  );
  let left = copies;
  // What nobody of them feeds, or feeds nobody, is in no circle.
  for (let before = 0; before !== left.length; ) {
    before = left.length;
    left = left.filter(
      (one) =>
        left.some((other) => feeding.get(one)?.has(other)) &&
        left.some((other) => feeding.get(other)?.has(one)),
    );
  }
  const last = left.at(-1);
  if (last === undefined) return [];
  const names = namesOf(...left.map(({ config }) => config));
  const message = `found ${names}, which copy each other's streams in a circle, expected an end: the entries would go round for ever`;
  return [{ index: last.index, message }];
}

/** Whether one writes what the other copies. */
function feeds({ sinks }: Config, { source }: Config): boolean {
  return (
    source?.type === "redis" && sinks.some(({ config }) => copyProblem(source.config, config) !== undefined)
  );
}
