import { from, type Observable, type Unsubscribable } from "rxjs";
import type { GroupFigures } from "../../telemetry/groupFigures.ts";
import type { RedisServer } from "../connect/anotherClient.ts";
import type { ClientOptions } from "../connect/client.ts";
import { openLink } from "../connect/openLink.ts";
import { groupFigures } from "./groupFigures.ts";

/** Looks at groups. */
export interface GroupWatch extends Unsubscribable {
  /** Emits once; undefined: the group is not there. Fails with an RxaddError. */
  readonly look: (stream: string, group: string) => Observable<GroupFigures | undefined>;
  /** Emits each time that Redis takes commands again. */
  readonly ready$: Observable<unknown>;
  /** Errors when trying again cannot help. Never emits. */
  readonly failure$: Observable<never>;
}

/** Opens a connection for it, unless there is the caller's. */
export function openGroupWatch(server: RedisServer, options: Omit<ClientOptions, "uri">): GroupWatch {
  const { client, call, ...link } = openLink(server, options);
  return { ...link, look: (stream, group) => call(() => from(groupFigures(client, stream, group))) };
}
