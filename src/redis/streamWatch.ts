import { none, type Option, some } from "fp-ts/lib/Option.js";
import { Cluster, type Redis } from "ioredis";
import { from, type Observable, type Unsubscribable } from "rxjs";
import type { RedisFigures, ShownEntry, StreamFigures, StreamGroup } from "../redisFigures.ts";
import type { Server } from "./anotherClient.ts";
import type { ClientOptions } from "./client.ts";
import { entriesOf, pairsOf, tablesOf } from "./entryReplies.ts";
import { type FakeServer, isFake } from "./fakeServer.ts";
import { nameOf, openLink } from "./openLink.ts";
import { ifAllowed } from "./rights.ts";
import { type Script, script } from "./script.ts";

/** Looks at a server and at streams. */
export interface StreamWatch extends Unsubscribable {
  /** Emits once. Fails with a SinkError. */
  readonly look: (streams: readonly string[]) => Observable<RedisFigures>;
  /** Errors when trying again cannot help. Never emits. */
  readonly failure$: Observable<never>;
}

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

/** Opens a connection for it, unless there is the caller's; none to a Redis in memory. */
export function openStreamWatch(
  server: Server | { readonly connection: FakeServer },
  options: Omit<ClientOptions, "uri">,
): Option<StreamWatch> {
  return isReal(server) ? some(watchOf(server, options)) : none;
}

function isReal(server: Server | { readonly connection: FakeServer }): server is Server {
  return "uri" in server || !isFake(server.connection);
}

function watchOf(server: Server, options: Omit<ClientOptions, "uri">): StreamWatch {
  const { client, call, failure$, unsubscribe } = openLink(server, options);
  const where = nameOf(server);
  const newest = script(client, newestScript);

  async function look(streams: readonly string[]): Promise<RedisFigures> {
    const [memory, ...figures] = await Promise.all([
      ifAllowed(where, () => memoryOf(client)),
      ...streams.map((stream) => figuresOf(client, newest, where, stream)),
    ]);
    return { atMs: Date.now(), memoryBytes: memory?.used, maxMemoryBytes: memory?.max, streams: figures };
  }

  return { look: (streams) => call(() => from(look(streams))), failure$, unsubscribe };
}

async function memoryOf(client: Redis | Cluster): Promise<{ used: number; max: number }> {
  const masters = client instanceof Cluster ? client.nodes("master") : [client];
  const infos = await Promise.all(masters.map((master) => master.info("memory")));
  const sum = (name: string) =>
    infos.reduce((sum, info) => sum + Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1] ?? 0), 0);
  return { used: sum("used_memory"), max: sum("maxmemory") };
}

async function figuresOf(
  client: Redis | Cluster,
  newest: Script,
  where: string,
  stream: string,
): Promise<StreamFigures> {
  const ask = <A>(asking: () => Promise<A>) => ifAllowed(where, asking);
  const [length, memoryBytes, groups, entries] = await Promise.all([
    ask(() => client.xlen(stream)),
    ask(async () => Number((await client.memory("USAGE", stream)) ?? 0)),
    ask(() => groupsOf(client, stream)),
    ask(async () =>
      entriesOf(stream, await newest([stream], [`${shownEntries}`, `${shownBytes}`])).map(shown),
    ),
  ]);
  return { stream, length, memoryBytes, groups, entries };
}

async function groupsOf(client: Redis | Cluster, stream: string): Promise<readonly StreamGroup[]> {
  // XINFO fails without a stream.
  if ((await client.exists(stream)) === 0) return [];
  return tablesOf(await client.xinfo("GROUPS", stream)).map((table) => {
    const lag = table.get("lag");
    return {
      group: String(table.get("name")),
      lag: typeof lag === "number" ? lag : undefined,
      pending: Number(table.get("pending")),
      consumers: Number(table.get("consumers")),
    };
  });
}

function shown({ entryId, fields }: ReturnType<typeof entriesOf>[0]): ShownEntry {
  return { entryId, fields: [...pairsOf(fields)].map(([name, value]) => [name, String(value)] as const) };
}
