// `npm run screenshot`: takes the picture of the dashboard that the README shows.
import { fileURLToPath } from "node:url";
import { redisSink } from "rxadd";
import { acknowledge, groupDeliveries } from "rxadd/consumer";
import { dashboard } from "rxadd/dashboard";
import { concatMap, interval, Subscription } from "rxjs";
import { startBrowser } from "../kit/program/browser.ts";
import { startRedis } from "../kit/servers/redisServer.ts";

const items = ["tea", "coffee", "milk", "bread", "cheese", "apples"];
const stream = "orders.events";
const beforeMs = 50_000;
const outageMs = 6_000;

let position = 0;
function order() {
  position += 1;
  const after = { id: position, item: items[position % items.length] };
  return { id: `orders/${position}`, op: "c", ts_ms: Date.now(), after, position };
}

const [redis, browser] = await Promise.all([startRedis(["--appendonly", "yes"]), startBrowser()]);
const { uri } = redis;
const all = new Subscription();
const sink = redisSink<ReturnType<typeof order>, number>({ id: "orders-redis", uri, stream });
const url = await new Promise<string>((resolve) => {
  all.add(dashboard({ sinks: [sink], port: 0 }).subscribe(({ url }) => resolve(url)));
});
all.add(
  interval(10)
    .pipe(
      concatMap((tick) => Array.from({ length: 4 + (Math.round(tick / 150) % 3) }, order)),
      sink,
    )
    .subscribe(),
);
for (const group of ["mailer", "search"]) {
  all.add(
    groupDeliveries({ uri, stream, group })
      .pipe(acknowledge(async () => {}))
      .subscribe(),
  );
}

const page = await browser.newPage({ viewport: { width: 1120, height: 1060 }, colorScheme: "light" });
await page.goto(url);
await page.waitForTimeout(beforeMs);
await redis.signal("SIGTERM");
await page.waitForTimeout(outageMs);
const path = fileURLToPath(new URL("../../docs/images/dashboard.png", import.meta.url));
await page.screenshot({ path });
console.log(path);

all.unsubscribe();
await browser.close();
await redis.stop();
