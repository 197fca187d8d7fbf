import { Registry, register } from "prom-client";
import { Subject, take } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import { acknowledge, deduplicate, groupDeliveries, watchGroup } from "../../src/consumer.ts";
import { rxaddError } from "../../src/errors/rxaddError.ts";
import { consumerMetrics, sinkMetrics } from "../../src/metrics/index.ts";
import { scrape } from "../kit/program/scrape.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const stream = "orders.events";
const group = "mailer";
const ofConsumer = 'group="mailer",consumer="one"';
const ofGroup = 'stream="orders.events",group="mailer"';

function ofOne(registry?: Registry) {
  return consumerMetrics({ group, consumer: "one", ...(registry !== undefined && { registry }) });
}

describe("consumerMetrics", () => {
  it("has every counter, and the gauge of what is held, at 0 before the first delivery", async () => {
    const samples = await scrape(ofOne().registry);

    for (const name of [
      "deliveries",
      "acknowledged",
      "rejected",
      "dead_letters",
      "duplicates",
      "claimed",
      "lost",
    ])
      expect(samples.get(`rxadd_consumer_${name}_total{${ofConsumer}}`), name).toBe(0);
    expect(samples.get(`rxadd_consumer_retries_total{${ofConsumer},cause="Unreachable"}`)).toBe(0);
    expect(samples.get(`rxadd_consumer_held{${ofConsumer}}`)).toBe(0);
  });

  it("counts what a consumer does", async () => {
    const { registry, status } = ofOne();
    const cause = rxaddError("Unreachable", "no answer");
    const delivery = { stream, entryId: "1-0", deliveries: 1 };

    status({ state: "retrying", attempt: 1, delayMs: 100, cause });
    status({ state: "claimed", stream, entries: 7 });
    status({ state: "lost", stream, entryId: "1-0" });
    status({ state: "rejected", ...delivery, delayMs: 100, reason: "busy" });
    status({ state: "deadLetter", ...delivery, reason: "busy" });

    const samples = await scrape(registry);
    const totals = ["claimed", "lost", "rejected", "dead_letters"].map((name) =>
      samples.get(`rxadd_consumer_${name}_total{${ofConsumer}}`),
    );
    expect(totals).toEqual([7, 1, 1, 1]);
    expect(samples.get(`rxadd_consumer_retries_total{${ofConsumer},cause="Unreachable"}`)).toBe(1);
  });

  it("takes back the lag that Redis cannot tell any more", async () => {
    const { registry, group: figures } = ofOne();
    const known = { stream, group, length: 3, pending: 0, lastDeliveredId: "0-0", consumers: [] };

    figures.next({ ...known, lag: 3 });
    expect((await scrape(registry)).get(`rxadd_consumer_group_lag{${ofGroup}}`)).toBe(3);
    figures.next({ ...known, lag: undefined });

    expect((await scrape(registry)).has(`rxadd_consumer_group_lag{${ofGroup}}`)).toBe(false);
  });

  it("shares a registry with other consumers and with sinks, and leaves the global one alone", async () => {
    const registry = new Registry();
    sinkMetrics({ pipeline: "shop", sink: "orders-redis", registry });
    ofOne(registry).delivered(2);
    consumerMetrics({ group, consumer: "two", registry }).delivered(3);

    const samples = await scrape(registry);

    expect(samples.get(`rxadd_consumer_deliveries_total{${ofConsumer}}`)).toBe(2);
    expect(samples.get('rxadd_consumer_deliveries_total{group="mailer",consumer="two"}')).toBe(3);
    expect(samples.has('deltaforge_sink_events_total{pipeline="shop",sink="orders-redis"}')).toBe(true);
    expect(register.getMetricsAsArray()).toEqual([]);
  });
});

describe("consumerMetrics with the labels of others in one registry", () => {
  it("adds what each of them holds, and takes away what one held that is closed", async () => {
    const registry = new Registry();
    const held = async () => (await scrape(registry)).get(`rxadd_consumer_held{${ofConsumer}}`);
    const [one, two] = [ofOne(registry), ofOne(registry)];

    one.held(3);
    two.held(2);
    one.held(4);
    expect(await held()).toBe(6);
    one.status({ state: "closed", cause: undefined });

    expect(await held()).toBe(2);
  });
});

describe("consumerMetrics of a real consumer", () => {
  const redis = emptyRedis();

  it("counts deliveries, failures, duplicates and dead letters, and what is held and left", async () => {
    const metrics = ofOne();
    const read = async (series: string) => (await scrape(metrics.registry)).get(`rxadd_consumer_${series}`);
    for (const id of ["a", "b", "a", "bad", "c"]) {
      await redis.client.xadd(stream, "*", "event", JSON.stringify({ id }));
    }
    const watching = watchGroup({ uri: redis.uri, stream, group, everyMs: 5 }).subscribe(metrics.group);
    onTestFinished(() => watching.unsubscribe());
    const release = new Subject<void>();
    const consuming = groupDeliveries<{ readonly id: string }>({
      uri: redis.uri,
      stream,
      group,
      consumer: "one",
      blockMs: 200,
      deadLetters: { stream: "orders.dead" },
      maxDeliveries: 2,
      redelivery: { initialMs: 1 },
      metrics,
    })
      .pipe(
        deduplicate({ key: ({ id }) => id, skipped: metrics.skipped }),
        acknowledge(
          ({ id }) => {
            if (id === "bad") throw new Error("the mail box is full");
            return id === "c" ? release.pipe(take(1)) : undefined;
          },
          { concurrency: 10 },
        ),
      )
      .subscribe();
    onTestFinished(() => consuming.unsubscribe());

    await waitUntil(async () => (await read(`dead_letters_total{${ofConsumer}}`)) === 1);
    await waitUntil(async () => (await read(`group_pending{${ofGroup}}`)) === 1);
    expect(await read(`held{${ofConsumer}}`)).toBe(1);
    expect(await read(`group_lag{${ofGroup}}`)).toBe(0);
    expect(await read(`group_consumers{${ofGroup}}`)).toBe(1);
    release.next();
    await waitUntil(async () => (await read(`held{${ofConsumer}}`)) === 0);

    expect(await read(`deliveries_total{${ofConsumer}}`)).toBe(6);
    expect(await read(`rejected_total{${ofConsumer}}`)).toBe(1);
    expect(await read(`duplicates_total{${ofConsumer}}`)).toBe(1);
    expect(await read(`acknowledged_total{${ofConsumer}}`)).toBe(4);
  });
});
