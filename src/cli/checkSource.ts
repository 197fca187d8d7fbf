import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { EMPTY, from, map, mergeMap, type Observable } from "rxjs";
import type { Config } from "../config/config.ts";
import type { PostgresInspection } from "../sources/postgres/inspectPostgres.ts";
import { streamLength } from "../streams/index.ts";
import { type Finder, type Finding, findings } from "./finding.ts";
import { importPostgres } from "./importPostgres.ts";
import { refuseFolder } from "./input.ts";

/** Looks at the source, and reads and makes nothing there. */
export function checkSource(source: Config["source"]): Observable<Finding> {
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
      const { dsn, slot, publication } = source.config;
      return findings("source", 2, (finding) =>
        from(importPostgres()).pipe(
          mergeMap(({ inspectPostgres }) => inspectPostgres(dsn, slot, publication)),
          map((found) => postgresFindings(found, slot, publication, finding)),
        ),
      );
    }
  }
}

async function checkReadable(path: string): Promise<void> {
  await access(path, constants.R_OK);
  refuseFolder(path, await stat(path));
}

function postgresFindings(
  { version, walLevel, mayReplicate, slotAt, isSlotLost, hasPublication }: PostgresInspection,
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
    finding("publication", `${publication}: ${hasPublication ? "there" : "made at the first run"}`),
  ];
}
