// A shop writes to PostgreSQL, rxadd replicates its orders into a Redis Stream, the terminal shows it
// live, and at the end every entry of the stream is compared with what was committed.
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { type ChangeEvent, type Lsn, redisSink, replicate, type Source } from "rxadd";
import { type MetricsServer, serveMetrics, sinkHealth, sinkMetrics } from "rxadd/metrics";
import { postgresChanges } from "rxadd/sources/postgres";
import {
  catchError,
  firstValueFrom,
  fromEvent,
  interval,
  lastValueFrom,
  merge,
  NEVER,
  ReplaySubject,
  Subject,
  take,
  takeUntil,
  tap,
  timer,
} from "rxjs";
import { startPostgres } from "../../test/support/postgresServer.ts";
import { startRedis } from "../../test/support/redisServer.ts";
import { difference } from "./check.ts";
import { hints, screen, statusLine } from "./screen.ts";
import { openShop } from "./shop.ts";
import { Tracker } from "./tracker.ts";

const id = "demo";
const stream = "orders.events";
const isTerminal = process.stdout.isTTY === true;
const { values } = parseArgs({ options: { seconds: { type: "string" } } });

const stop$ = merge(
  fromEvent(process, "SIGINT"),
  fromEvent(process, "SIGTERM"),
  values.seconds === undefined ? NEVER : timer(Number(values.seconds) * 1000),
).pipe(take(1));
const stopped = firstValueFrom(stop$);

console.log("Starting PostgreSQL and Redis …");
const ownRedis = process.env.REDIS_URI === undefined ? await startRedis() : undefined;
const uri = ownRedis?.uri ?? process.env.REDIS_URI ?? "";
const postgres = await startPostgres();
const redis = new Redis(uri);
const over = new Subject<void>();

async function run(): Promise<number> {
  if ((await redis.exists(stream)) === 1) {
    console.error(`${stream} exists already: DEL it and {${stream}}:rxadd:${id}, or unset REDIS_URI.`);
    return 2;
  }

  // The part that an application would have: a source, a sink, metrics.
  const opened = new ReplaySubject<unknown>(1);
  const metrics = sinkMetrics({ pipeline: "demo", sink: id });
  const health = sinkHealth();
  const { connectionString } = postgres;
  const source = postgresChanges({ connectionString, opened });
  const sink = redisSink({ id, uri, stream, metrics, status: health });

  const tracker = new Tracker();
  const watched: Source<ChangeEvent<Lsn>, Lsn> = Object.assign(
    (...[from, flow]: Parameters<typeof source>) =>
      source(from, flow).pipe(
        tap(({ ts_ms }) => tracker.emitted(ts_ms)),
        takeUntil(over),
      ),
    { acknowledge: (position: Lsn) => source.acknowledge?.(position) },
  );
  const server = new ReplaySubject<MetricsServer>(1);
  const served = { registry: metrics.registry, health: [health] };
  serveMetrics(served)
    .pipe(
      // Somebody else has port 9000: any other will do.
      catchError(() => serveMetrics({ ...served, port: 0 })),
      takeUntil(over),
    )
    .subscribe(server);
  const replicating = new Promise<void>((resolve, reject) => {
    replicate({ source: watched, sink }).subscribe({
      next: (checkpoint) => tracker.published(checkpoint),
      error: reject,
      complete: resolve,
    });
  });

  const [{ url: metricsUrl }] = await Promise.all([
    firstValueFrom(server),
    Promise.race([firstValueFrom(opened), replicating]),
  ]);
  const shop = await openShop(connectionString);

  const view = async () => ({
    ...tracker.view(),
    committed: shop.written.length,
    transactions: shop.transactions(),
    state: health.now().state,
    redisPort: new URL(uri).port || 6379,
    metricsUrl,
    entries: (await redis.xrevrange(stream, "+", "-", "COUNT", 6)).map(
      ([entryId, [, event = "{}"]]): [string, string] => [entryId, event],
    ),
  });
  async function show(): Promise<void> {
    const now = await view();
    if (!isTerminal) return console.log(statusLine(now));
    const lines = screen(now, process.stdout.columns);
    process.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`);
  }

  if (isTerminal) process.stdout.write("\x1b[2J");
  else for (const hint of hints({ redisPort: new URL(uri).port || 6379, metricsUrl })) console.log(hint);
  const showing = interval(isTerminal ? 250 : 1000)
    .pipe(takeUntil(over))
    .subscribe(() => show().catch(() => {}));

  await Promise.race([stopped, replicating]);
  await shop.close();
  console.log("Closing the shop, publishing what is left …");
  const timeout = lastValueFrom(timer(30_000).pipe(takeUntil(over)), { defaultValue: 0 });
  await Promise.race([tracker.reaches(shop.written.length), timeout]);
  over.next();
  await replicating;
  showing.unsubscribe();
  await show();

  const wrong = await difference(redis, stream, shop.written);
  const summary = `${shop.written.length} row changes in ${shop.transactions()} transactions`;
  if (wrong === undefined)
    console.log(`\n✓ ${summary}: each stands in ${stream} exactly once, in commit order.`);
  else console.log(`\n✗ ${summary}, but the stream differs at ${wrong}.`);
  return wrong === undefined ? 0 : 1;
}

try {
  process.exitCode = await run();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  over.next();
  redis.disconnect();
  await postgres.stop();
  await ownRedis?.stop();
}
