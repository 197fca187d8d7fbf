import { redisSink } from "rxadd";
import { from, lastValueFrom } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Figures } from "../../examples/liveDashboard/figures.ts";
import { liveDashboard } from "../../examples/liveDashboard/liveDashboard.ts";
import { chromiumPath, startBrowser } from "../kit/program/browser.ts";
import { program } from "../kit/program/cli.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { freePort } from "../kit/servers/freePort.ts";

const redis = emptyRedis();

interface Order {
  readonly id: number;
  readonly item: string;
  readonly price: number;
}
const tea = (id: number): Order => ({ id, item: "tea", price: 3 });
const milk = (id: number): Order => ({ id, item: "milk", price: 2 });

/** Publishes changes of orders, as their table would, from a position on. */
async function change(
  first: number,
  ...changes: readonly (readonly [before: Order | null, after: Order | null])[]
) {
  const events = changes.map(([before, after], index) => ({
    ...{ id: `orders/${first + index}`, position: first + index },
    ...{ op: before === null ? "c" : after === null ? "d" : "u", before, after },
  }));
  const sink = redisSink<(typeof events)[0], number>({
    id: "orders",
    uri: redis.uri,
    stream: "orders.events",
  });
  await lastValueFrom(from(events).pipe(sink));
}

/** The dashboard on a free port, until the test ends. */
async function dashboard() {
  const port = await freePort();
  const running = liveDashboard(redis.uri, port).subscribe();
  const stop = () => running.unsubscribe();
  onTestFinished(stop);
  return { url: `http://127.0.0.1:${port}/`, stop };
}

/** What a page is told, from when it is opened. */
async function told(url: string) {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const response = await fetch(`${url}figures`, { signal: stop.signal });
  const figures: Figures[] = [];
  const reading = (async () => {
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      for (const [, data = ""] of text.matchAll(/data: (.*)\n\n/g)) figures.push(JSON.parse(data));
      text = text.slice(text.lastIndexOf("\n\n") + 2);
    }
  })();
  reading.catch(() => {});
  return { latest: () => figures.at(-1), ended: reading };
}

describe("live dashboard", () => {
  it("counts orders that there are, and those that come, are changed and cancelled", async () => {
    await change(1, [null, tea(1)], [null, milk(2)]);
    const { url } = await dashboard();
    const { latest } = await told(url);
    await expect.poll(latest).toEqual({ orders: 2, revenue: 5, items: { tea: 1, milk: 1 } });

    await change(3, [milk(2), tea(2)], [null, milk(3)], [tea(1), null]);

    await expect.poll(latest).toEqual({ orders: 2, revenue: 5, items: { tea: 1, milk: 1 } });
    await change(6, [null, tea(4)], [tea(99), null], [tea(98), milk(98)]);
    await expect.poll(latest).toEqual({ orders: 3, revenue: 8, items: { tea: 2, milk: 1 } });
  });

  it("says that its port is taken", async () => {
    const port = await freePort();
    await new Promise((resolve) => {
      const first = liveDashboard(redis.uri, port).subscribe(resolve);
      onTestFinished(() => first.unsubscribe());
    });
    await expect(lastValueFrom(liveDashboard(redis.uri, port))).rejects.toThrow("EADDRINUSE");
  });

  it("tells every page, from one connection to Redis", async () => {
    const { url } = await dashboard();
    await change(1, [null, tea(1)]);
    const pages = await Promise.all([told(url), told(url), told(url)]);
    for (const { latest } of pages) await expect.poll(() => latest()?.orders).toBe(1);
    const clients = String(await redis.client.client("LIST"));
    expect(clients.match(/cmd=xread/g)).toHaveLength(1);
  });

  it("forgets no order when it starts again", async () => {
    await change(1, [null, tea(1)]);
    const first = await dashboard();
    const page = await told(first.url);
    await expect.poll(() => page.latest()?.orders).toBe(1);
    first.stop();
    await page.ended.catch(() => {});
    await change(2, [null, tea(2)]);

    const again = await told((await dashboard()).url);

    await expect.poll(() => again.latest()?.orders).toBe(2);
  });

  it.skipIf(chromiumPath === undefined)(
    "moves its figures in a browser (skipped where there is none)",
    async () => {
      await change(1, [null, tea(1)], [null, { ...milk(2), item: "<b>milk</b>" }], [null, tea(3)]);
      const { url } = await dashboard();
      const browser = await startBrowser();
      onTestFinished(() => browser.close());
      const page = await browser.newPage();
      await page.goto(url);
      await expect.poll(() => page.locator("#orders").innerText()).toBe("3");

      await change(4, [null, tea(4)]);

      await expect.poll(() => page.locator("#orders").innerText()).toBe("4");
      expect(await page.locator("tr").allInnerTexts()).toEqual(["tea\t3", "<b>milk</b>\t1"]);
    },
  );

  it("serves its page as a program until it is told to stop", async () => {
    const port = await freePort();
    const args = ["--import", "tsx", "examples/liveDashboard/liveDashboard.ts"];
    const run = program(args, "", { REDIS_URI: redis.uri, PORT: `${port}` });
    onTestFinished(() => void run.child.kill("SIGKILL"));
    await run.says("open http://localhost:");
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toContain("The shop today");

    run.child.kill("SIGINT");

    expect(await run.ended).toBe(0);
  });
});
