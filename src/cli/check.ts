import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { catchError, concat, defer, from, map, mergeMap, type Observable, of } from "rxjs";
import type { Config } from "../config/config.ts";
import { type Inspection, inspect } from "../redis/inspection.ts";
import { computedLaneKeys, type LaneKeys, laneKeys } from "../redis/publisher.ts";
import { streamInfo } from "../streams/index.ts";
import { isStreamTemplate } from "../streamTemplate.ts";
import { type ExitCode, exitCodeOf } from "./exitCode.ts";
import { importPostgres } from "./importPostgres.ts";
import { printRows } from "./streamsPrint.ts";

/** One thing that was looked at. */
interface Finding {
  readonly part: string;
  readonly what: string;
  readonly found: string;
  /** 0: it is as it has to be. */
  readonly exitCode: ExitCode;
}

type Finder = (what: string, found: string, isGood?: boolean) => Finding;

/** Looks at all that a configuration names, and changes nothing; returns how the command ends. */
export async function checkConfig({ source, sinks }: Config, isJson: boolean): Promise<ExitCode> {
  let worst: ExitCode = 0;
  const rows$ = concat(sourceFindings(source), ...sinks.map(({ config }) => sinkFindings(config))).pipe(
    map(({ exitCode, ...row }) => {
      if (worst === 0) worst = exitCode;
      return { ...row, state: exitCode === 0 ? "ok" : "wrong" };
    }),
  );
  await printRows(
    rows$,
    [
      ["part", "PART"],
      ["what", "WHAT"],
      ["state", "STATE"],
      ["found", "FOUND"],
    ],
    isJson,
  );
  return worst;
}

function finder(part: string): Finder {
  return (what, found, isGood = true) => ({ part, what, found, exitCode: isGood ? 0 : 3 });
}

/** Findings of one part; what cannot be looked at is one, too. */
function findings(
  part: string,
  look: (finding: Finder) => Observable<readonly Finding[]>,
): Observable<Finding> {
  return defer(() => look(finder(part))).pipe(
    mergeMap((all) => all),
    catchError((error) =>
      of({
        part,
        what: "reached",
        found: error instanceof Error ? error.message : String(error),
        exitCode: exitCodeOf(error),
      }),
    ),
  );
}

function sourceFindings(source: Config["source"]): Observable<Finding> {
  switch (source?.type) {
    case undefined:
      return of();
    case "ndjson":
      return findings("source", (finding) =>
        from(access(source.config.path, constants.R_OK)).pipe(
          map(() => [finding("file", source.config.path)]),
        ),
      );
    case "redis":
      return findings("source", (finding) =>
        streamInfo(source.config).pipe(
          map(({ length, lastEntryId }) => [
            finding("stream", `${source.config.stream}: ${length} entries, up to ${lastEntryId ?? "none"}`),
          ]),
        ),
      );
    case "postgres": {
      const { dsn, slot, publication } = source.config;
      return findings("source", (finding) =>
        from(importPostgres()).pipe(
          mergeMap(({ inspectPostgres }) => inspectPostgres(dsn, slot, publication)),
          map((found) => [
            finding("server", `postgres ${found.version}`),
            finding("wal_level", found.walLevel, found.walLevel === "logical"),
            finding(
              "replication",
              found.mayReplicate ? "granted" : "not granted to the user",
              found.mayReplicate,
            ),
            finding("slot", `${slot}: ${found.slotAt ?? "made at the first run"}`),
            finding(
              "publication",
              `${publication}: ${found.hasPublication ? "there" : "made at the first run"}`,
            ),
          ]),
        ),
      );
    }
  }
}

type SinkConfig = Config["sinks"][0]["config"];

function sinkFindings(config: SinkConfig): Observable<Finding> {
  const { id, uri, tls, sentinel, connectTimeoutMs, sendTimeoutMs, trim } = config;
  const options = { name: "rxadd:check", tls, sentinel, connectTimeoutMs, sendTimeoutMs };
  return findings(`sink ${id}`, (finding) =>
    inspect({ uri }, options, keysOf(config), trim !== undefined).pipe(
      map((found) => [
        finding("server", found.server),
        ...evictionFinding(found, finding),
        ...found.keys.map(({ key, type }) => keyFinding(key, type, found, finding)),
        finding(
          "state",
          found.state === undefined
            ? "none: it begins at its first run"
            : `epoch ${found.state.epoch}, position ${found.state.position || "none"}`,
        ),
        rightsFinding(found, finding),
      ]),
    ),
  );
}

/** Those of the lane; where the stream is computed, its events say which there are. */
function keysOf({ id, stream, partitions, deadLetters }: SinkConfig): LaneKeys {
  return isStreamTemplate(stream) || partitions !== undefined
    ? computedLaneKeys(id, deadLetters?.stream)
    : laneKeys(stream, id, deadLetters?.stream);
}

function keyFinding(key: string, type: string, { length }: Inspection, finding: Finder): Finding {
  if (type === "none") return finding("stream", `${key}: made by the first batch`);
  if (type !== "stream") return finding("stream", `${key}: holds a ${type}, expected a stream`, false);
  return finding("stream", length === undefined ? key : `${key}: ${length} entries`);
}

function evictionFinding({ evictionPolicy }: Inspection, finding: Finder): readonly Finding[] {
  if (evictionPolicy === undefined) return [];
  const evictsStreams = evictionPolicy.startsWith("allkeys-");
  const advice = evictsStreams ? ": it evicts whole streams; set noeviction or a volatile-* policy" : "";
  return [finding("eviction", `${evictionPolicy}${advice}`, !evictsStreams)];
}

function rightsFinding({ denied }: Inspection, finding: Finder): Finding {
  if (denied === undefined) return finding("rights", "not known before the first batch: that takes Redis 7");
  return denied.length === 0
    ? finding("rights", "enough to publish")
    : finding("rights", `missing: ${denied.join(", ")}; see docs/connections.md`, false);
}
