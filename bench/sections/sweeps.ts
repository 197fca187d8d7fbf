import { makeCertificates, tlsOf } from "../../test/kit/servers/certificates.ts";
import { startRedis } from "../../test/kit/servers/redisServer.ts";
import type { Contender } from "../contender.ts";
import { ioredisPipeline } from "../contenders/ioredis.ts";
import { rawSocket } from "../contenders/rawSocket.ts";
import { rxaddScript } from "../contenders/rxadd.ts";
import { startDelay } from "../delay.ts";
import { type Order, race, usual } from "../race.ts";
import type { Row } from "../row.ts";
import type { Settings } from "../section.ts";

interface Point {
  readonly section: string;
  readonly settings: Settings;
  /** What is different at this point of the sweep. */
  readonly at: Readonly<Record<string, number | string>>;
  readonly order: Omit<Order, "uri" | "stream"> & { readonly uri?: string };
  readonly contenders?: readonly Contender[];
}

/** One point of a sweep: a row a contender. */
async function* point({ section, settings, at, order, contenders = [ioredisPipeline, rxaddScript] }: Point) {
  const { uri, rounds } = settings;
  const results = await race({ contenders, rounds, order: { uri, ...order }, inspect: uri });
  for (const { name, eventsPerSecond, peakMiB } of results) {
    yield { section, name, ...at, "events/s": Math.round(eventsPerSecond), "peak MiB": Math.round(peakMiB) };
  }
}

/** Fewer events where each costs more, so that every point takes about as long. */
function share({ events }: Settings, cost: number): number {
  return Math.max(2_000, Math.round(events / cost));
}

export async function* eventSizes(settings: Settings): AsyncGenerator<Row> {
  for (const bytes of [150, 220, 1_024, 10_240, 102_400]) {
    const count = share(settings, bytes / 220);
    yield* point({
      section: "event-size",
      settings,
      at: { "event bytes": bytes },
      order: { ...usual, count, bytes },
    });
  }
}

/** The same of rows, of which each contender makes the JSON. */
export async function* rowSizes(settings: Settings): AsyncGenerator<Row> {
  for (const bytes of [100, 385, 2_048, 10_240]) {
    const count = share(settings, Math.max(1, bytes / 385));
    yield* point({
      section: "row-size",
      settings,
      at: { "row bytes": bytes },
      order: { ...usual, kind: "row", count, bytes },
    });
  }
}

export async function* batchSizes(settings: Settings): AsyncGenerator<Row> {
  for (const batchSize of [1, 10, 100, 500, 2_000]) {
    const count = share(settings, Math.max(1, 50 / batchSize));
    yield* point({
      section: "batch-size",
      settings,
      at: { "batch size": batchSize },
      order: { ...usual, count, batchSize },
    });
  }
}

export async function* windows(settings: Settings): AsyncGenerator<Row> {
  const count = settings.events;
  for (const window of [1, 2, 4, 8, 16]) {
    const contenders = [rawSocket, rxaddScript];
    yield* point({
      section: "window",
      settings,
      at: { window },
      order: { ...usual, count, window },
      contenders,
    });
  }
}

export async function* streams(settings: Settings): AsyncGenerator<Row> {
  const count = settings.events;
  for (const streams of [1, 10, 100, 1_000]) {
    yield* point({ section: "streams", settings, at: { streams }, order: { ...usual, count, streams } });
  }
}

/** A proxy delays each direction by half of the round trip; what the proxy itself costs shows at 0 ms. */
export async function* roundTrip(settings: Settings): AsyncGenerator<Row> {
  const count = settings.events;
  const proxy = await startDelay(settings.uri);
  for (const ms of [0, 10]) {
    await proxy.delay(ms / 2);
    for (const window of [4, 32]) {
      const contenders = window === 4 ? [ioredisPipeline, rxaddScript] : [rxaddScript];
      const order = { ...usual, count, window, uri: proxy.uri };
      yield* point({
        section: "round-trip",
        settings,
        at: { "round trip ms": ms, window },
        order,
        contenders,
      });
    }
  }
  proxy.stop();
}

export async function* tls(settings: Settings): AsyncGenerator<Row> {
  const count = settings.events;
  yield* point({ section: "tls", settings, at: { tls: "no" }, order: { ...usual, count } });
  const certificates = await makeCertificates();
  const server = await startRedis([], "", tlsOf(certificates));
  try {
    const ca = certificates.ca.cert;
    const secure = { ...settings, uri: server.uri };
    yield* point({ section: "tls", settings: secure, at: { tls: "yes" }, order: { ...usual, count, ca } });
  } finally {
    await server.stop();
    certificates.remove();
  }
}
