import type { Cluster, Redis } from "ioredis";
import { defer, map, type Observable } from "rxjs";
import type { Argument } from "../wire/encode.ts";
import { script } from "../wire/script.ts";
import {
  type LaneKeys,
  type NumberedBatch,
  type OpenReply,
  type PublishPort,
  type PublishReply,
  runExpiresMs,
  streamsOf,
} from "./publishPort.ts";
import { openReplyOf, publishReplyOf } from "./publishReplies.ts";
import { openScript, publishScript } from "./publishScript.ts";
import { type Trim, trimsArg } from "./trimming.ts";

/** What `publishScript` is called with. */
interface Request {
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
}

function requestOf(lane: LaneKeys, batch: NumberedBatch, trim: Trim | undefined): Request {
  const { owner, epoch, sequence, position, ahead, entries } = batch;
  const start = (dead: string, layout: string, streams: readonly string[]) => [
    ...[owner, `${epoch}`, `${sequence}`, position, ahead, dead, layout],
    ...(typeof trim === "function" ? [trimsArg(trim, streams, lane.deadLetters)] : []),
  ];
  const isPlain = entries.every(({ words }) => words === 1);
  if (isPlain && entries.every(({ stream }) => stream === lane.stream)) {
    const own = lane.stream === undefined ? [] : [lane.stream];
    return { keys: [lane.state, ...own], args: [...start("0", "1", own), ...entries] };
  }
  const streams = streamsOf(lane, entries);
  const numbers = numbersOf(streams);
  const numberOf = (stream = "") => numbers.get(stream) ?? "0";
  const args: Argument[] = start(numberOf(lane.deadLetters), isPlain ? "2" : "3", streams);
  for (const entry of entries) {
    args.push(numberOf(entry.stream));
    if (!isPlain) args.push(...(entry.words === 1 ? ["2", "event"] : [`${entry.words}`]));
    args.push(entry);
  }
  return { keys: [lane.state, ...streams], args };
}

/** The number of each stream among the keys. */
function numbersOf(streams: readonly string[]): ReadonlyMap<string, string> {
  return new Map(streams.map((stream, index) => [stream, `${index + 2}`]));
}

function keysOf({ state }: LaneKeys, ...streams: readonly (string | undefined)[]): readonly string[] {
  return [state, ...streams.filter((stream) => stream !== undefined)];
}

/** Publishes a batch by one script call: the exact form, and the fastest. */
export function scriptPort(client: Redis | Cluster, trim?: Trim): PublishPort {
  const open = script(client, openScript);
  const publish = script(client, publishScript(trim));
  const publishRun = script(client, publishScript(trim, runExpiresMs));
  return {
    open: (lane, owner, adopt): Observable<OpenReply> =>
      defer(() => {
        const keys = keysOf(lane, lane.mark ?? lane.state, lane.stream, lane.deadLetters);
        const dead = lane.deadLetters === undefined ? "0" : `${keys.length}`;
        return open(keys, [owner, dead, lane.stream === undefined ? "1" : "0", adopt ? "1" : "0"]);
      }).pipe(map(openReplyOf)),
    publish: (lane, batch): Observable<PublishReply> =>
      defer(() => {
        const { keys, args } = requestOf(lane, batch, trim);
        return (lane.expiresMs === undefined ? publish : publishRun)(keys, args);
      }).pipe(map(publishReplyOf)),
  };
}
