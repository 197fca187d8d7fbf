import { defer, finalize, from, type Observable } from "rxjs";
import type { Server } from "./anotherClient.ts";
import type { ClientOptions } from "./client.ts";
import { openLink } from "./openLink.ts";
import { type LaneKeys, streamsOf } from "./publisher.ts";
import { script } from "./script.ts";

/** What a server says of a lane before anything is published. */
export interface Inspection {
  /** Such as `redis 7.0.15` or `valkey 8.0.1`. */
  readonly server: string;
  /** `maxmemory-policy`; undefined: it does not tell. */
  readonly evictionPolicy: string | undefined;
  /** Each stream, and the type of its key: `stream`, `none`, or something that no sink can use. */
  readonly keys: readonly { readonly key: string; readonly type: string }[];
  /** Of the lane's only stream. */
  readonly length: number | undefined;
  /** Undefined: the sink has not run yet. */
  readonly state: { readonly epoch: string; readonly position: string } | undefined;
  /** Commands that the user may not use on the lane's keys; undefined: the server cannot tell (before Redis 7). */
  readonly denied: readonly string[] | undefined;
}

/**
 * Asks, without running them, which of the lane's commands the user may not use.
 *
 * KEYS: the producer state, then the streams. ARGV: whether to trim.
 */
const rightsScript = `
if not redis.acl_check_cmd then return false end
local denied = {}
local function check(...)
  if not redis.acl_check_cmd(...) then denied[#denied + 1] = select(1, ...) .. ' ' .. select(2, ...) end
end
check('HMGET', KEYS[1], 'epoch')
check('HSET', KEYS[1], 'epoch', 1)
for i = 2, #KEYS do
  check('TYPE', KEYS[i])
  check('XADD', KEYS[i], '*', 'event', '')
  check('XLEN', KEYS[i])
  if ARGV[1] == '1' then check('XTRIM', KEYS[i], 'MAXLEN', '~', 1) end
end
return denied`;

/**
 * Looks at a server for a sink, and changes nothing there: no epoch is raised, nobody is fenced. It tries once, and
 * fails with a SinkError.
 */
export function inspect(
  server: Server,
  options: Omit<ClientOptions, "uri">,
  lane: LaneKeys,
  isTrimming: boolean,
): Observable<Inspection> {
  return defer(() => {
    const { client, call, unsubscribe } = openLink(server, options);
    const streams = [...streamsOf(lane, []), ...(lane.deadLetters === undefined ? [] : [lane.deadLetters])];

    async function look(): Promise<Inspection> {
      const info = String(await client.info("server"));
      const types = await Promise.all(streams.map((key) => client.type(key)));
      const [epoch, position] = await client.hmget(lane.state, "epoch", "position");
      const { stream } = lane;
      const stands = stream !== undefined && types[0] === "stream";
      const denied = await script(client, rightsScript)([lane.state, ...streams], [isTrimming ? "1" : "0"]);
      return {
        server: versionIn(info),
        evictionPolicy: fieldOf(String(await client.info("memory")), "maxmemory_policy"),
        keys: streams.map((key, index) => ({ key, type: types[index] ?? "none" })),
        length: stands ? await client.xlen(stream) : undefined,
        state: epoch ? { epoch, position: position ?? "" } : undefined,
        denied: Array.isArray(denied) ? denied.map(String) : undefined,
      };
    }

    return call(() => from(look())).pipe(finalize(unsubscribe));
  });
}

function fieldOf(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(\\S+)`, "m").exec(info)?.[1];
}

function versionIn(info: string): string {
  const valkey = fieldOf(info, "valkey_version");
  return valkey === undefined ? `redis ${fieldOf(info, "redis_version")}` : `valkey ${valkey}`;
}
