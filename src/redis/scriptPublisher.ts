import type { Cluster, Redis } from "ioredis";
import { defer, map, type Observable } from "rxjs";
import type { LaneKeys, NumberedBatch, OpenedState, Publisher, PublishReply } from "./publisher.ts";
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
    keys.stream,
    keys.state,
    `${epoch}`,
    `${sequence}`,
    position,
    isPlain ? "1" : "0",
  ];
  for (const { payload, extra = [] } of entries) {
    if (isPlain) args.push(payload);
    else args.push(`${extra.length + 2}`, "event", payload, ...extra);
  }
  return args;
}

/** Publishes a batch by one script call: the exact form, and the fastest. */
export function scriptPublisher(client: Redis | Cluster): Publisher {
  client.defineCommand("rxaddOpen", { numberOfKeys: 2, lua: openScript });
  client.defineCommand("rxaddPublish", { numberOfKeys: 2, lua: publishScript });
  const commands = client as (Redis | Cluster) & ScriptCommands;

  return {
    open: (keys, owner): Observable<OpenedState> =>
      defer(() => commands.rxaddOpen([keys.stream, keys.state, owner])).pipe(map(openedStateOf)),
    publish: (keys, batch): Observable<PublishReply> =>
      defer(() => commands.rxaddPublish(argumentsOf(keys, batch))).pipe(map(publishReplyOf)),
  };
}
