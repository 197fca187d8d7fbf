// A shop that has orders already writes to PostgreSQL, rxadd replicates its orders into a Redis Stream, a page shows it live and lets
// you break it, and a reader compares every entry of the stream with what was committed.
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import type { ChangeEvent } from "rxadd";
import { streamEntries } from "rxadd/consumer";
import {
  filter,
  firstValueFrom,
  fromEvent,
  interval,
  map,
  merge,
  NEVER,
  race,
  Subscription,
  share,
  take,
  timer,
} from "rxjs";
import { startPostgres } from "../../test/kit/servers/postgresServer.ts";
import { startRedis } from "../../test/kit/servers/redisServer.ts";
import { hints, screen, statusLine, type View } from "./screen.ts";
import { stockShop } from "./shop.ts";
import { site } from "./site.ts";
import { Storyteller } from "./story.ts";
import { troubles } from "./troubles.ts";
import { Verifier } from "./verifier.ts";
import { writerProcess } from "./writerProcess.ts";

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
// What Redis has acknowledged is on its disk: stopped and started again, it has it still.
const ownRedis =
  process.env.REDIS_URI === undefined
    ? await startRedis(["--appendonly", "yes", "--appendfsync", "always"])
    : undefined;
const uri = ownRedis?.uri ?? process.env.REDIS_URI ?? "";
const postgres = await startPostgres();
const redis = new Redis(uri);
redis.on("error", () => {});
const all = new Subscription();

async function run(): Promise<number> {
  if ((await redis.exists(stream)) === 1) {
    console.error(`${stream} exists already: DEL it and {${stream}}:rxadd:demo, or unset REDIS_URI.`);
    return 2;
  }

  const shop = await stockShop(postgres.connectionString);
  const writer = writerProcess({
    POSTGRES_URI: postgres.connectionString,
    REDIS_URI: uri,
    STREAM: stream,
  });
  let writerState = await firstValueFrom(writer.state$);
  all.add(
    writer.state$.subscribe((state) => {
      writerState = state;
    }),
  );
  await firstValueFrom(
    writer.state$.pipe(
      filter(
        ({ opened, dashboardUrl, metricsUrl }) =>
          opened && dashboardUrl !== undefined && metricsUrl !== undefined,
      ),
    ),
  );

  // Rows are being read by now.
  shop.open();
  const verifier = new Verifier(shop.stock, () => shop.written);
  all.add(
    streamEntries<ChangeEvent>({ uri, stream, from: "0-0" }).subscribe((entry) => verifier.read(entry)),
  );
  const trouble = troubles(ownRedis, redis, () => writer.kill());
  const teller = new Storyteller();
  const tell = () => {
    const shown = { committed: shop.written.length, transactions: shop.transactions() };
    return teller.tell(shown, verifier.verdict(), trouble, writerState);
  };
  const story$ = interval(200).pipe(map(tell), share());
  const url = await new Promise<string>((resolve, reject) => {
    const perform = async (action: Parameters<typeof trouble.perform>[0]) =>
      teller.happened(await trouble.perform(action));
    const dashboardUrl = () => writerState.dashboardUrl;
    all.add(site({ story$, perform, dashboardUrl }).subscribe({ next: resolve, error: reject }));
  });

  const started = Date.now();
  const redisPort = new URL(uri).port || 6379;
  const view = (): View => ({
    ...verifier.verdict(),
    seconds: (Date.now() - started) / 1000,
    committed: shop.written.length,
    transactions: shop.transactions(),
    checkpoint: writerState.checkpoint,
    state: writerState.doing,
    redisPort,
    url,
    metricsUrl: writerState.metricsUrl ?? "",
  });
  function show(): void {
    if (!isTerminal) {
      console.log(statusLine(view()));
      return;
    }
    const lines = screen(view(), process.stdout.columns);
    process.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`);
  }

  if (isTerminal) process.stdout.write("\x1b[2J");
  else {
    console.log(`Open ${url} to see it in a browser, and to stop Redis, kill the writer, fill the memory`);
    for (const hint of hints(view())) console.log(hint);
  }
  const showing = interval(isTerminal ? 250 : 1000).subscribe(show);
  // Somebody has to look, or the story would not go on.
  all.add(story$.subscribe());

  await stopped;
  await shop.close();
  console.log("Closing the shop, publishing what is left …");
  await trouble.mend();
  const isDone = ({ onTheirWay, difference }: ReturnType<typeof tell>) =>
    onTheirWay === 0 || difference !== undefined;
  await firstValueFrom(race(story$.pipe(filter(isDone)), timer(60_000)));
  showing.unsubscribe();
  show();

  const { verified, rows, missing, difference } = verifier.verdict();
  const length = await redis.xlen(stream);
  const summary = `${shop.written.length} row changes in ${shop.transactions()} transactions`;
  const isWhole = verified === shop.written.length && missing === 0 && length === verified + rows;
  const isRight = difference === undefined && isWhole;
  if (isRight) {
    console.log(`\n✓ ${summary}: each stands in ${stream} exactly once, in commit order.`);
    console.log(
      `So does each of the ${shop.stock.size} orders from before, as one of ${rows} rows or as changed meanwhile.`,
    );
  } else {
    const found = difference ?? `${verified} of them, ${rows} rows and ${length} entries`;
    console.log(`\n✗ ${summary}, but the stream differs: ${found}.`);
  }
  return isRight ? 0 : 1;
}

try {
  process.exitCode = await run();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  all.unsubscribe();
  redis.disconnect();
  await postgres.stop();
  await ownRedis?.stop();
}
