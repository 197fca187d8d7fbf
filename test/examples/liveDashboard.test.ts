import { redisSink } from "rxadd";
import { from, lastValueFrom } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Figures, liveDashboard } from "../../examples/liveDashboard/liveDashboard.ts";
import { chromiumPath, startBrowser } from "../support/browser.ts";
import { program } from "../support/cli.ts";
import { emptyRedis } from "../support/emptyRedis.ts";
import { freePort } from "../support/freePort.ts";

const redis = emptyRedis();

interface Order {
  readonly item: string;
  readonly price: number;
}
const tea: Order = { item: "tea", price: 3 };
const milk: Order = { item: "milk", price: 2 };

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
    await change(1, [null, tea], [null, milk]);
    const { url } = await dashboard();
    const { latest } = await told(url);
    await expect.poll(latest).toEqual({ orders: 2, revenue: 5, items: { tea: 1, milk: 1 } });

    await change(3, [milk, tea], [null, milk], [tea, null]);

    await expect.poll(latest).toEqual({ orders: 2, revenue: 5, items: { tea: 1, milk: 1 } });
    await change(6, [null, tea]);
    await expect.poll(latest).toEqual({ orders: 3, revenue: 8, items: { tea: 2, milk: 1 } });
  });

  it("tells every page, from one connection to Redis", async () => {
    const { url } = await dashboard();
    await change(1, [null, tea]);
    const pages = await Promise.all([told(url), told(url), told(url)]);
    for (const { latest } of pages) await expect.poll(() => latest()?.orders).toBe(1);
    const clients = String(await redis.client.client("LIST"));
    expect(clients.match(/cmd=xread/g)).toHaveLength(1);
  });

  it("forgets no order when it starts again", async () => {
    await change(1, [null, tea]);
    const first = await dashboard();
    const page = await told(first.url);
    await expect.poll(() => page.latest()?.orders).toBe(1);
    first.stop();
    await page.ended.catch(() => {});
    await change(2, [null, tea]);

    const again = await told((await dashboard()).url);

    await expect.poll(() => again.latest()?.orders).toBe(2);
  });

  it.skipIf(chromiumPath === undefined)(
    "moves its figures in a browser (skipped where there is none)",
    async () => {
      await change(1, [null, tea], [null, { item: "<b>milk</b>", price: 2 }], [null, tea]);
      const { url } = await dashboard();
      const browser = await startBrowser();
      onTestFinished(() => browser.close());
      const page = await browser.newPage();
      await page.goto(url);
      await expect.poll(() => page.locator("#orders").innerText()).toBe("3");

      await change(4, [null, tea]);

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
