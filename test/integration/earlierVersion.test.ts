import { readFileSync } from "node:fs";
import * as t from "io-ts";
import { acknowledge, deduplicate, effects, groupDeliveries } from "rxadd/consumer";
import { from, lastValueFrom, Subject, take } from "rxjs";
import { beforeEach, describe, expect, it } from "vitest";
import { redisSink, replicate } from "../../src/index.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

/** What the first version left in Redis of five events, by many sinks: commands that put it there again. */
const written: unknown = JSON.parse(readFileSync(new URL("earlierVersion.json", import.meta.url), "utf8"));
const Commands = t.array(t.array(t.string));

const server = emptyRedis();

beforeEach(async () => {
  if (!Commands.is(written)) throw new Error("found something else, expected commands");
  for (const [command = "", ...args] of written) await server.client.call(command, ...args);
});

interface Change<P> {
  readonly id: string;
  readonly source: { readonly table: string };
  readonly position: P;
  readonly transaction?: { readonly id: string; readonly last: boolean };
}

/** Eight changes, of which the first version had published five, or of transactions of two the first four. */
function changes<P>(positionOf: (n: number) => P, inTwos = false): readonly Change<P>[] {
  return [1, 2, 3, 4, 5, 6, 7, 8].map((n) => ({
    id: `e${n}`,
    source: { table: n % 2 === 1 ? "orders" : "returns" },
    position: positionOf(inTwos ? Math.ceil(n / 2) : n),
    ...(inTwos && { transaction: { id: `t${Math.ceil(n / 2)}`, last: n % 2 === 0 } }),
  }));
}

/** Goes on with a sink; returns where the source was opened. */
async function resumed<P>(
  id: string,
  options: { readonly stream: string; readonly publish?: "pipeline" },
  all: readonly Change<P>[],
): Promise<readonly (P | undefined)[]> {
  const opened: (P | undefined)[] = [];
  const source = (at: P | undefined) => {
    opened.push(at);
    const last = at === undefined ? -1 : all.findLastIndex(({ position }) => position === at);
    return from(all.slice(last + 1));
  };
  const sink = redisSink<Change<P>, P>({ id, uri: server.uri, ...options });
  await lastValueFrom(replicate({ source, sink }));
  return opened;
}

async function idsIn(stream: string): Promise<readonly string[]> {
  const entries = await server.client.xrange(stream, "-", "+");
  return entries.map(([, fields]) => JSON.parse(fields[1] ?? "").id);
}

const every = ["e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"];

describe("what the first version has written", () => {
  const lsn = (n: number) => `0/${(16 * n).toString(16).toUpperCase()}`;

  it.each([
    ["byScript", changes((n) => n), {}],
    ["byMulti", changes((n) => n), { publish: "pipeline" as const }],
    ["lsns", changes(lsn), {}],
    ["bigints", changes((n) => BigInt(n) * 10n ** 18n), {}],
    ["texts", changes((n) => `p${n}`), {}],
    ["transactions", changes((n) => n, true), {}],
  ])("is gone on with, and nothing is there twice: %s", async (id, all, options) => {
    const stream = `{${id}}.events`;

    const opened = await resumed<unknown>(id, { stream, ...options }, all);

    expect(opened).toEqual([all[id === "transactions" ? 3 : 4]?.position]);
    expect(await idsIn(stream)).toEqual(every);
  });

  it("is gone on with in streams that events name", async () => {
    const stream = "computed.${source.table}";

    const opened = await resumed(
      "computed",
      { stream },
      changes((n) => n),
    );

    expect(opened).toEqual([5]);
    expect(await idsIn("computed.orders")).toEqual(["e1", "e3", "e5", "e7"]);
    expect(await idsIn("computed.returns")).toEqual(["e2", "e4", "e6", "e8"]);
  });

  it("is known to a consumer: what its group has processed is not handled again", async () => {
    const until = new Subject<void>();
    const [, , third] = await server.client.xrange("{byScript}.events", "-", "+");
    // Once more, as a second producer would have it.
    await server.client.xadd("{byScript}.events", "*", ...(third?.[1] ?? []));

    await lastValueFrom(
      groupDeliveries<{ readonly id: string }>({
        uri: server.uri,
        stream: "{byScript}.events",
        group: "mailer",
        until,
      }).pipe(
        deduplicate({ key: ({ id }) => id, skipped: { next: () => until.next() } }),
        acknowledge(({ id }) => effects(["RPUSH", "{byScript}.mails", id])),
        take(2),
      ),
    );

    expect(await server.client.lrange("{byScript}.mails", 0, -1)).toEqual(["e1", "e2", "e3", "e4", "e5"]);
  });
});
