import type { Cluster, Redis } from "ioredis";
import { defer, map, type Observable } from "rxjs";
import {
  type LaneKeys,
  type NumberedBatch,
  type OpenedState,
  type Publisher,
  type PublishReply,
  targetOf,
} from "./publisher.ts";
import { openedStateOf, publishReplyOf } from "./replies.ts";
import { openScript, publishScript } from "./scripts.ts";

/** The commands that `defineCommand` adds; ioredis cannot type them itself. */
interface ScriptCommands {
  rxaddOpen(args: readonly (string | Buffer)[]): Promise<unknown>;
  rxaddPublish(args: readonly (string | Buffer)[]): Promise<unknown>;
}

function argumentsOf(
  keys: LaneKeys,
  { epoch, sequence, position, entries }: NumberedBatch,
): (string | Buffer)[] {
  const isPlain = entries.every(({ extra }) => extra === undefined);
  const args: (string | Buffer)[] = [
    ...keysOf(keys),
    `${epoch}`,
    `${sequence}`,
    position,
    isPlain ? "1" : "0",
  ];
  for (const entry of entries) {
    const { payload, extra = [] } = entry;
    if (isPlain) args.push(payload);
    else {
      const key = targetOf(keys, entry) === keys.stream ? "1" : "3";
      args.push(key, `${extra.length + 2}`, "event", payload, ...extra);
    }
  }
  return args;
}

/** How many keys, and which. */
function keysOf({ stream, state, deadLetters }: LaneKeys): string[] {
  return deadLetters === undefined ? ["2", stream, state] : ["3", stream, state, deadLetters];
}

/** Publishes a batch by one script call: the exact form, and the fastest. */
export function scriptPublisher(client: Redis | Cluster): Publisher {
  client.defineCommand("rxaddOpen", { lua: openScript });
  client.defineCommand("rxaddPublish", { lua: publishScript });
  const commands = client as (Redis | Cluster) & ScriptCommands;

  return {
    open: (keys, owner): Observable<OpenedState> =>
      defer(() => commands.rxaddOpen([...keysOf(keys), owner])).pipe(map(openedStateOf)),
    publish: (keys, batch): Observable<PublishReply> =>
      defer(() => commands.rxaddPublish(argumentsOf(keys, batch))).pipe(map(publishReplyOf)),
  };
}
