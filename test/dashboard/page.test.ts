import axe from "axe-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { dashboard, watchSink } from "rxadd/dashboard";
import { concatMap, filter, firstValueFrom, interval, map, type Observable, Subscription } from "rxjs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { redisSink } from "../../src/index.ts";
import { chromiumPath, startBrowser } from "../kit/program/browser.ts";
import { freePort } from "../kit/servers/freePort.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";

interface Order {
  readonly id: string;
  readonly ts_ms: number;
  readonly item: string;
  readonly position: number;
}

let browser: Browser;
let redis: RedisServer;
let all = new Subscription();
/** Errors of pages, and whom they asked beside their own server. */
const wrong: string[] = [];

beforeAll(async () => {
  if (chromiumPath === undefined) return;
  // What was acknowledged has to be there again after a restart.
  [browser, redis] = await Promise.all([
    startBrowser(),
    startRedis(["--appendonly", "yes", "--appendfsync", "always"]),
  ]);
});
afterAll(() => Promise.all([browser?.close(), redis?.stop()]));
afterEach(async () => {
  all.unsubscribe();
  all = new Subscription();
  await Promise.all(browser.contexts().map((context) => context.close()));
  await redis.start();
  await redis.client.flushall();
  const found = wrong.splice(0);
  expect(found).toEqual([]);
});

/** So many orders every 10 ms. */
function orders(every10Ms: number, item = "tea"): Observable<Order> {
  let position = 0;
  const next = (): Order => {
    position += 1;
    return { id: `orders/${position}`, ts_ms: Date.now(), item, position };
  };
  return interval(10).pipe(concatMap(() => Array.from({ length: every10Ms }, next)));
}

function shop(id = "shop", stream = "orders.events") {
  return redisSink<Order, number>({ id, uri: redis.uri, stream });
}

/** Shows sinks at an address; until the test ends, or the subscription does. */
async function show(sinks: readonly ReturnType<typeof shop>[], port = 0) {
  const serving = new Subscription();
  all.add(serving);
  const { url } = await new Promise<{ url: string }>((resolve, reject) => {
    serving.add(dashboard({ sinks, port }).subscribe({ next: resolve, error: reject }));
  });
  return { url, stop: () => serving.unsubscribe() };
}

/** Opens the page, which must not say a word of error, nor ask anybody else. */
async function open(url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource|ERR_/.test(message.text()))
      wrong.push(message.text());
  });
  page.on("pageerror", ({ message }) => wrong.push(message));
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) wrong.push(request.url());
  });
  await page.goto(url);
  return page;
}
/** What stands beside a number's name. */
function tile(page: Page, name: string) {
  return page
    .locator(".tiles > div")
    .filter({ has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) })
    .locator(".value");
}

async function numberOf(page: Page, name: string): Promise<number> {
  return Number((await tile(page, name).innerText()).replaceAll(",", ""));
}

async function violations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const found: axe.Result[] = await page.evaluate("axe.run().then(({ violations }) => violations)");
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

describe.skipIf(chromiumPath === undefined)("the dashboard in Chromium (skipped where there is none)", () => {
  it("shows what is published while it is published", async () => {
    const sink = shop();
    const { url } = await show([sink]);
    const page = await open(url);
    await page.getByText("Not started").waitFor();

    all.add(orders(5).pipe(sink).subscribe());

    await page.locator(".state", { hasText: "Publishing" }).waitFor();
    await expect.poll(() => numberOf(page, "Events a second")).toBeGreaterThan(100);
    const first = await numberOf(page, "Checkpoint");
    await expect.poll(() => numberOf(page, "Checkpoint")).toBeGreaterThan(first);
    await page
      .locator(".stream", { hasText: "orders.events" })
      .getByText(/[\d,]+ entries, [\d.]+ [KM]iB/)
      .waitFor();
    expect(await page.locator("live-chart canvas").count()).toBe(4);
  });

  // Once more if the machine was busy just then: what takes longer by itself does so each time.
  it("shows an outage within a second, why, and that nothing was lost when it is over", {
    retry: 2,
  }, async () => {
    const sink = shop();
    const { url } = await show([sink]);
    const page = await open(url);
    all.add(orders(5).pipe(sink).subscribe());
    const state = (title: string) => page.locator(".state", { hasText: title });
    await state("Publishing").waitFor();

    await redis.signal("SIGTERM");
    await state("Retrying").waitFor({ timeout: 1000 });
    await page.locator(".reason", { hasText: /ECONNREFUSED|Connection is closed|ECONNRESET/ }).waitFor();
    await page.locator(".detail", { hasText: /[\d,]+ events wait in memory, none is lost/ }).waitFor();
    const waiting = await numberOf(page, "Waiting in memory");
    await expect.poll(() => numberOf(page, "Waiting in memory")).toBeGreaterThan(waiting);

    await redis.start();
    await state("Publishing").waitFor();
    await page
      .locator(".notices li", { hasText: /publishing again after .* s; [\d,]+ events waited, none is lost/ })
      .waitFor();
  });

  it("tells a Redis that does not answer from one that is gone", async () => {
    const sink = shop();
    const { url } = await show([sink]);
    const page = await open(url);
    all.add(orders(1).pipe(sink).subscribe());
    await page.locator(".state", { hasText: "Publishing" }).waitFor();
    await redis.signal("SIGSTOP");
    await page.locator(".state", { hasText: "Waiting for Redis" }).waitFor();
    await redis.signal("SIGCONT");
    await page.locator(".state", { hasText: "Publishing" }).waitFor();
  });

  it("shows hostile events, streams and groups as the text that they are", async () => {
    const hostile = `</pre><script>window.hurt = 1</script><img src=x onerror="window.hurt = 2">`;
    const stream = `orders<img src=x onerror="window.hurt = 3">`;
    const sink = shop("<b onmouseover=alert(1)>shop</b>", stream);
    const { url } = await show([sink]);
    const page = await open(url);
    all.add(orders(1, hostile).pipe(sink).subscribe());
    await page.locator(".stream h4", { hasText: stream }).waitFor();
    await redis.client.xgroup("CREATE", stream, "<script>window.hurt = 4</script>", "0");
    await page.locator("tbody th", { hasText: "<script>window.hurt = 4</script>" }).waitFor();

    await page.locator("details summary").first().click();
    await page.locator("pre", { hasText: "<script>window.hurt = 1</script>" }).first().waitFor();

    expect(await page.evaluate("window.hurt")).toBeUndefined();
    expect(await page.locator("body img, body script, body b[onmouseover]").count()).toBe(0);
  });

  it("holds an entry still while somebody reads it", async () => {
    const sink = shop();
    const { url } = await show([sink]);
    const page = await open(url);
    all.add(orders(1).pipe(sink).subscribe());
    const newest = page.locator("details").first();
    await newest.locator("summary").click();
    const id = await newest.locator("code").innerText();
    const length = page.locator(".stream > p").first();
    const before = await length.innerText();
    await expect.poll(() => length.innerText()).not.toBe(before);
    expect(await newest.locator("code").innerText()).toBe(id);
    await newest.locator("summary").click();
    await expect.poll(() => newest.locator("code").innerText()).not.toBe(id);
  });

  it("keeps up with 10,000 events a second", async () => {
    const sink = shop();
    const { url } = await show([sink]);
    const page = await open(url);
    all.add(orders(100).pipe(sink).subscribe());
    const { snapshot$ } = watchSink(sink);
    const status$ = snapshot$.pipe(map(({ checkpoint }) => Number(checkpoint?.position ?? 0)));
    await firstValueFrom(status$.pipe(filter((position) => position > 30_000)));

    const [shown, real] = await Promise.all([numberOf(page, "Checkpoint"), firstValueFrom(status$)]);

    // Less than a second of events, of three that have passed.
    expect(real - shown).toBeLessThan(10_000);
  });

  it("says that the process is gone, and goes on with the next one", async () => {
    const port = await freePort();
    const first = await show([shop()], port);
    const page = await open(first.url);
    const says = (text: string) => page.locator(".connection", { hasText: text });
    await says("Live, 1 sink").waitFor();
    first.stop();
    await says("No word from the process").waitFor();
    await page.locator(".state", { hasText: "Not heard of" }).waitFor();
    await show([shop(), shop("second")], port);
    await says("Live, 2 sinks").waitFor();
    expect(await page.locator(".sink").count()).toBe(2);
    // All at a glance, each leading to its part.
    const links = page.getByRole("navigation", { name: "Sinks" }).getByRole("link");
    expect(await links.allInnerTexts()).toEqual(["shop Not started", "second Not started"]);
    expect(await violations(page)).toEqual([]);
    await links.last().click();
    expect(await page.evaluate("location.hash")).toBe("#sink-1");
  });

  it.each(["light", "dark"] as const)(
    "has nothing for axe to complain of in the %s, calm or in trouble",
    async (colorScheme) => {
      const sink = shop();
      const { url } = await show([sink]);
      const page = await open(url, { colorScheme });
      all.add(orders(1).pipe(sink).subscribe());
      await redis.client.xgroup("CREATE", "orders.events", "mailer", "0", "MKSTREAM");
      await page.locator("tbody th", { hasText: "mailer" }).waitFor();
      await page.locator("details summary").first().click();
      expect(await page.evaluate("document.documentElement.dataset.theme")).toBe(colorScheme);
      expect(await violations(page)).toEqual([]);
      await redis.signal("SIGTERM");
      await page.locator(".state", { hasText: "Retrying" }).waitFor();
      expect(await violations(page)).toEqual([]);
    },
  );

  it("is used with the keyboard alone, and remembers the theme", async () => {
    const sink = shop();
    const { url } = await show([sink]);
    const page = await open(url, { colorScheme: "light" });
    all.add(orders(1).pipe(sink).subscribe());
    await page.locator("details").first().waitFor();
    const theme = () => page.evaluate("document.documentElement.dataset.theme");

    await page.keyboard.press("Tab");
    for (const expected of ["light", "dark"]) {
      await page.keyboard.press("Enter");
      expect(await theme()).toBe(expected);
    }
    await page.reload();
    await page.locator("details").first().waitFor();
    expect(await theme()).toBe("dark");

    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator("details[open] pre").first().waitFor();
  });

  it("fits a telephone", async () => {
    const sink = shop();
    const { url } = await show([sink]);
    const page = await open(url, { viewport: { width: 360, height: 740 } });
    all.add(orders(1).pipe(sink).subscribe());
    await page.locator("details").first().waitFor();
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
  });
});
