import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { catchError, EMPTY, forkJoin, from, map, mergeMap, type Observable, of } from "rxjs";
import { streamLength } from "../../admin/index.ts";
import type { Config } from "../../config/config.ts";
import { isLsn, type Lsn, ordLsn } from "../../event/lsn.ts";
import type { KeptLog, PostgresInspection } from "../../sources/postgres/inspectPostgres.ts";
import { importPostgres } from "../configured/importPostgres.ts";
import { refuseFolder } from "../terminal/input.ts";
import { positionsIn } from "./checkSink.ts";
import { type Finder, type Finding, findings } from "./finding.ts";

/** Looks at the source, and reads and makes nothing there. */
export function checkSource({ source, sinks }: Pick<Config, "source" | "sinks">): Observable<Finding> {
  switch (source?.type) {
    case undefined:
      return EMPTY;
    case "ndjson":
      return findings("source", 2, (finding) =>
        from(checkReadable(source.config.path)).pipe(map(() => [finding("file", source.config.path)])),
      );
    case "redis":
      return findings("source", 3, (finding) =>
        streamLength(source.config).pipe(
          map((length) => [finding("stream", `${source.config.stream}: ${length} entries`)]),
        ),
      );
    case "postgres": {
      const { dsn: connectionString, slot, publication, snapshot, tables } = source.config;
      const inspected = { connectionString, slot, publication, snapshot, ...(tables && { tables }) };
      return findings("source", 2, (finding) =>
        from(importPostgres()).pipe(
          mergeMap(({ inspectPostgres, holeOf, mends }) =>
            forkJoin([inspectPostgres(inspected), standings(sinks)]).pipe(
              map(([found, standing]) => [
                ...postgresFindings(found, source.config, finding),
                ...standing.map(({ id, from }) => {
                  const reached = furthest(standing);
                  const { slotAt: confirmedLsn, hasPublication } = found;
                  const names = { slot, publication, hasPublication, confirmedLsn, madeAt: undefined };
                  const hole = holeOf({ ...names, from, reached });
                  const text = hole === undefined ? "none is gone" : `${hole}; ${mends}`;
                  return finding("changes", `sink ${id}: ${text}`, hole === undefined);
                }),
              ]),
            ),
          ),
        ),
      );
    }
  }
}

type PostgresConfig = Extract<Config["source"], { readonly type: "postgres" }>["config"];

interface SinkStanding {
  readonly id: string;
  /** Undefined: it has no position. */
  readonly from: Lsn | undefined;
}

/** Where each sink stands that has one position; what keeps Redis from saying so, the sink's own findings tell. */
function standings(sinks: Config["sinks"]): Observable<readonly SinkStanding[]> {
  const each = sinks.map(({ config }) =>
    positionsIn(config).pipe(
      map((positions): readonly SinkStanding[] => {
        const [position, ...others] = positions;
        if (position === undefined || others.length > 0) return [];
        if (position === "") return [{ id: config.id, from: undefined }];
        return isLsn(position) ? [{ id: config.id, from: position }] : [];
      }),
      catchError(() => of([])),
    ),
  );
  return forkJoin(each).pipe(map((all) => all.flat()));
}

function furthest(standings: readonly SinkStanding[]): Lsn | undefined {
  const positions = standings.map(({ from }) => from).filter((from) => from !== undefined);
  return positions.sort(ordLsn.compare).at(-1);
}

async function checkReadable(path: string): Promise<void> {
  await access(path, constants.R_OK);
  refuseFolder(path, await stat(path));
}

const notPublishable =
  "none, and the user may not make it: one of all tables takes a superuser, one of some tables their owner";

function postgresFindings(
  { version, walLevel, mayReplicate, slotAt, log, hasFailover, hasPublication, ...found }: PostgresInspection,
  { slot, publication, failover }: PostgresConfig,
  finding: Finder,
): readonly Finding[] {
  const { mayPublish, tables, withoutIdentity, rows, standbySlots } = found;
  const isSlotLost = log?.status === "lost";
  const slotFound = isSlotLost
    ? "PostgreSQL has removed what it still had to send; drop the slot, and begin anew"
    : (slotAt ?? "made at the first run");
  return [
    finding("server", `postgres ${version}`),
    finding(
      "wal_level",
      walLevel === "logical" ? walLevel : `${walLevel}, expected logical`,
      walLevel === "logical",
    ),
    finding("replication", mayReplicate ? "granted" : "not granted to the user", mayReplicate),
    finding("slot", `${slot}: ${slotFound}`, !isSlotLost),
    ...(log === undefined || isSlotLost ? [] : [logFinding(log, finding)]),
    ...(hasFailover === undefined && (!failover || standbySlots === undefined)
      ? []
      : [failoverFinding(hasFailover, standbySlots, failover, finding)]),
    finding(
      "publication",
      `${publication}: ${hasPublication ? "there" : mayPublish ? "made at the first run" : notPublishable}`,
      hasPublication || mayPublish,
    ),
    tablesFinding(tables, withoutIdentity, finding),
    ...(rows === undefined
      ? []
      : rows.problems.length === 0
        ? [finding("rows", `of ${rows.count} tables can be read`)]
        : rows.problems.map((problem) => finding("rows", problem, false))),
  ];
}

function logFinding({ status, size, left }: KeptLog, finding: Finder): Finding {
  const kept = `${size} kept for the slot`;
  if (status === "unreserved")
    return finding(
      "log",
      `${kept}, and about to be removed: read on, or raise max_slot_wal_keep_size`,
      false,
    );
  return finding(
    "log",
    `${kept}, ${left === undefined ? "no limit to it" : `${left} more until it is removed`}`,
  );
}

/** A slot that is still to be made will be as it is wanted; and it may well be that there is no standby yet. */
function failoverFinding(
  has = true,
  standbySlots: string | undefined,
  isWanted: boolean,
  finding: Finder,
): Finding {
  if (has && standbySlots === "") {
    const advice =
      "a sink may be ahead of the one that takes over, unless synchronized_standby_slots names its slot";
    return finding("failover", `the slot goes along to a standby; ${advice}`);
  }
  if (has) return finding("failover", "the slot goes along to a standby");
  const advice = isWanted ? ", expected one that does: see docs/postgres.md" : "; see failover";
  return finding("failover", `the slot does not go along to a standby${advice}`, !isWanted);
}

/** It may well be that nobody updates them. */
function tablesFinding(tables: number, withoutIdentity: readonly string[], finding: Finder): Finding {
  if (withoutIdentity.length === 0) return finding("tables", `${tables} published`);
  const names = withoutIdentity.join(", ");
  return finding(
    "tables",
    `${tables} published; PostgreSQL refuses UPDATE and DELETE in those without a primary key or another replica identity, such as ${names}`,
  );
}
