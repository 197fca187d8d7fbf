import { map, type Observable } from "rxjs";
import type { Config } from "../../config/config.ts";
import { isStreamTemplate } from "../../options/codecs.ts";
import {
  type InspectedLane,
  type InspectedStream,
  type Inspection,
  inspect,
  leadsToCluster,
} from "../../redis/inspect/inspection.ts";
import type { KnownKeys } from "../../redis/inspect/rights.ts";
import { partitionAt } from "../../sink/encode/partition.ts";
import { laneLayout } from "../../sink/lane/laneLayout.ts";
import { type Finder, type Finding, findings } from "./finding.ts";

type SinkConfig = Config["sinks"][0]["config"];

/** More partitions than these are alike. */
const mostPartitions = 256;

/** Looks at Redis for a sink, and changes nothing there. */
export function checkSink(config: SinkConfig): Observable<Finding> {
  return findings(`sink ${config.id}`, 3, (finding) =>
    inspect({ ...config, name: "rxadd:check", lanes: lanesOf(config) }).pipe(
      map((found) => [
        finding("server", found.server ?? "the user may not ask which"),
        ...roleFinding(found, finding),
        ...evictionFinding(found, finding),
        ...templateFinding(config, finding),
        ...found.lanes.flatMap((lane) => laneFindings(lane, found.lanes.length > 1, finding)),
      ]),
    ),
  );
}

/** The positions that are stored for a sink: one for each lane that is known, "" where there is none. */
export function positionsIn(config: SinkConfig): Observable<readonly string[]> {
  return inspect({ ...config, name: "rxadd:check", lanes: lanesOf(config) }).pipe(
    map(({ lanes }) =>
      // Where the user may not ask, nobody knows.
      lanes.filter(({ stateType }) => stateType !== undefined).map(({ state }) => state?.position ?? ""),
    ),
  );
}

/** Where the streams depend on the events, these say which there are. */
function lanesOf(config: SinkConfig): readonly KnownKeys[] {
  const layout = laneLayout(config, leadsToCluster(config.uri));
  const streams = knownStreams(config);
  const dead = config.deadLetters?.stream;
  if (layout.kind === "one") {
    const { stream, state, mark } = layout.keys;
    return [{ state, mark, streams, deadLetters: dead, isComputed: stream === undefined }];
  }
  const none = { mark: undefined, deadLetters: undefined };
  return [
    { ...none, state: layout.ledgerKey, streams: [], isComputed: true, isLedger: true },
    ...(dead === undefined ? streams : [...streams, dead]).map((stream) => {
      const { state, mark } = layout.keysOf(stream);
      return { ...none, state, mark, streams: [stream], isComputed: false };
    }),
  ];
}

function knownStreams({ stream, partitions }: SinkConfig): readonly string[] {
  if (isStreamTemplate(stream)) return [];
  if (partitions === undefined) return [stream];
  const length = Math.min(partitions, mostPartitions);
  return Array.from({ length }, (_, index) => partitionAt(stream, index));
}

function roleFinding({ isReadOnlyReplica }: Inspection, finding: Finder): readonly Finding[] {
  const found = "found a replica, which takes no writes, expected the master";
  return isReadOnlyReplica ? [finding("role", found, false)] : [];
}

function evictionFinding({ evictionPolicy }: Inspection, finding: Finder): readonly Finding[] {
  if (evictionPolicy === undefined) return [];
  const evictsStreams = evictionPolicy.startsWith("allkeys-");
  const advice = evictsStreams ? ": it evicts whole streams; set noeviction or a volatile-* policy" : "";
  return [finding("eviction", `${evictionPolicy}${advice}`, !evictsStreams)];
}

function templateFinding({ stream }: SinkConfig, finding: Finder): readonly Finding[] {
  return isStreamTemplate(stream) ? [finding("stream", `${stream}: its events say which`)] : [];
}

/** @param isOneOfSeveral - each then tells whose state and rights they are */
function laneFindings(lane: InspectedLane, isOneOfSeveral: boolean, finding: Finder): readonly Finding[] {
  const ofLane: Finder = (what, found, isGood) =>
    finding(what, isOneOfSeveral ? `${lane.stateKey}: ${found}` : found, isGood);
  return [
    ...lane.streams.map((stream) => streamFinding(stream, finding)),
    stateFinding(lane, ofLane),
    rightsFinding(lane, ofLane),
  ];
}

function streamFinding({ key, type, length }: InspectedStream, finding: Finder): Finding {
  if (type === "none") return finding("stream", `${key}: made by the first batch`);
  if (type !== undefined && type !== "stream")
    return finding("stream", `${key}: holds a ${type}, expected a stream`, false);
  return finding("stream", length === undefined ? key : `${key}: ${length} entries`);
}

function stateFinding({ stateType, state }: InspectedLane, finding: Finder): Finding {
  if (state !== undefined)
    return finding("state", `epoch ${state.epoch}, position ${state.position || "none"}`);
  if (stateType === undefined) return finding("state", "not known: the user may not ask");
  if (stateType === "none" || stateType === "hash")
    return finding("state", "none: it begins at its first run");
  return finding("state", `its key holds a ${stateType}, expected the sink's own hash`, false);
}

function rightsFinding({ denied, refusal }: InspectedLane, finding: Finder): Finding {
  if (refusal !== undefined) return finding("writes", refusal.message, false);
  if (denied === undefined)
    return finding("rights", "not known before the first batch: that takes Redis 7, or the right to MULTI");
  return denied.length === 0
    ? finding("rights", "enough to publish")
    : finding("rights", `missing: ${denied.join(", ")}; see docs/connections.md`, false);
}
