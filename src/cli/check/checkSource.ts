import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { catchError, EMPTY, forkJoin, from, map, mergeMap, type Observable, of } from "rxjs";
import { streamLength } from "../../admin/index.ts";
import type { Config } from "../../config/config.ts";
import { isLsn, type Lsn, ordLsn } from "../../event/lsn.ts";
import type { PostgresInspection } from "../../sources/postgres/inspectPostgres.ts";
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
      const { dsn, slot, publication, tables } = source.config;
      return findings("source", 2, (finding) =>
        from(importPostgres()).pipe(
          mergeMap(({ inspectPostgres, holeOf }) =>
            forkJoin([inspectPostgres(dsn, slot, publication, tables), standings(sinks)]).pipe(
              map(([found, standing]) => [
                ...postgresFindings(found, slot, publication, finding),
                ...standing.map(({ id, from }) => {
                  const reached = furthest(standing);
                  const { slotAt: confirmedLsn, hasPublication } = found;
                  const names = { slot, publication, hasPublication, confirmedLsn, madeAt: undefined };
                  const hole = holeOf({ ...names, from, reached });
                  return finding("changes", `sink ${id}: ${hole ?? "none is gone"}`, hole === undefined);
                }),
              ]),
            ),
          ),
        ),
      );
    }
  }
}

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
  { version, walLevel, mayReplicate, slotAt, isSlotLost, hasPublication, mayPublish }: PostgresInspection,
  slot: string,
  publication: string,
  finding: Finder,
): readonly Finding[] {
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
    finding(
      "publication",
      `${publication}: ${hasPublication ? "there" : mayPublish ? "made at the first run" : notPublishable}`,
      hasPublication || mayPublish,
    ),
  ];
}
