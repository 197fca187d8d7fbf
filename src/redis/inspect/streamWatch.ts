import type { Cluster, Redis } from "ioredis";
import { from } from "rxjs";
import type { StreamGroup } from "../../telemetry/groupFigures.ts";
import type { RedisFigures, ShownEntry, StreamFigures } from "../../telemetry/redisFigures.ts";
import type { StreamWatch } from "../../telemetry/watchable.ts";
import type { RedisServer } from "../connect/anotherClient.ts";
import type { ClientOptions } from "../connect/client.ts";
import { nameOf, openLink } from "../connect/openLink.ts";
import { mastersOf } from "../connect/topology.ts";
import { type SinkServer, withServer } from "../publish/fakeServer.ts";
import { entriesOf, pairsOf, type RawEntry } from "../wire/entryReplies.ts";
import { type Script, script } from "../wire/script.ts";
import { groupsOf } from "./groups.ts";
import { ifAllowed } from "./rights.ts";

/** The newest entries, of which Redis hands out no more than there is to see, however large they are. */
const newestScript = `
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[1])
local most = tonumber(ARGV[2])
for _, entry in ipairs(newest) do
  local fields = entry[2]
  for index = 17, #fields do fields[index] = nil end
  for index, text in ipairs(fields) do
    if #text > most then fields[index] = text:sub(1, most) .. '…' end
  end
end
return newest
`;
const shownEntries = 8;
const shownBytes = 4096;

/** A command of two words about a key: ioredis 5 finds none in MEMORY USAGE and XINFO GROUPS, and puts no keyPrefix before it. */
const aboutScript = "return redis.call(ARGV[1], ARGV[2], KEYS[1])";

/** Opens a connection for it, unless there is the caller's; undefined for a Redis in memory. */
export function openStreamWatch(
  server: SinkServer,
  options: Omit<ClientOptions, "uri">,
): StreamWatch | undefined {
  return withServer(
    server,
    (real) => watchOf(real, options),
    () => undefined,
  );
}

function watchOf(server: RedisServer, options: Omit<ClientOptions, "uri">): StreamWatch {
  const { client, call, failure$, unsubscribe } = openLink(server, options);
  const newest = script(client, newestScript);
  const about = script(client, aboutScript);
  const ask = whileAllowed(nameOf(server));

  async function figuresOf(stream: string): Promise<StreamFigures> {
    const [length, memoryBytes, groups, entries] = await Promise.all([
      ask("length", () => client.xlen(stream)),
      ask("memoryBytes", async () => Number((await about([stream], ["MEMORY", "USAGE"])) ?? 0)),
      ask("groups", () => groupsIn(client, about, stream)),
      ask("entries", () => newestOf(newest, stream)),
    ]);
    return { stream, length, memoryBytes, groups, entries };
  }

  async function look(streams: readonly string[]): Promise<RedisFigures> {
    const [memory, ...figures] = await Promise.all([
      ask("memory", () => memoryOf(client)),
      ...streams.map(figuresOf),
    ]);
    return { atMs: Date.now(), memoryBytes: memory?.used, maxMemoryBytes: memory?.max, streams: figures };
  }

  return { look: (streams) => call(() => from(look(streams))), failure$, unsubscribe };
}

/** Does not ask again what the user may not ask: each time would be a line in Redis' ACL LOG. */
function whileAllowed(where: string) {
  const denied = new Set<string>();
  return async <A>(what: string, asking: () => Promise<A>): Promise<A | undefined> => {
    if (denied.has(what)) return undefined;
    const answer = await ifAllowed(where, asking);
    if (answer === undefined) denied.add(what);
    return answer;
  };
}

async function memoryOf(client: Redis | Cluster): Promise<{ used: number; max: number }> {
  const masters = mastersOf(client);
  const infos = await Promise.all(masters.map((master) => master.info("memory")));
  const sum = (name: string) =>
    infos.reduce((sum, info) => sum + Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1] ?? 0), 0);
  return { used: sum("used_memory"), max: sum("maxmemory") };
}

async function groupsIn(
  client: Redis | Cluster,
  about: Script,
  stream: string,
): Promise<readonly StreamGroup[]> {
  // XINFO fails without a stream.
  return (await client.exists(stream)) === 0 ? [] : groupsOf(await about([stream], ["XINFO", "GROUPS"]));
}

async function newestOf(newest: Script, stream: string): Promise<readonly ShownEntry[]> {
  return entriesOf<string>(stream, await newest([stream], [`${shownEntries}`, `${shownBytes}`])).map(shown);
}

function shown({ entryId, fields }: RawEntry<string>): ShownEntry {
  return { entryId, fields: [...pairsOf(fields)].map(([name, value]) => [name, String(value)] as const) };
}
