import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import type { Browser, Frame, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath, startBrowser } from "../kit/program/browser.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
let browser: Browser;
let demo: ChildProcess;
let said = "";
let page: Page;

/** Where the demo says that its page is. */
function addressOf({ stdout }: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    stdout?.on("data", (chunk) => {
      said += chunk;
      const [url] = /http:\S+\//.exec(said) ?? [];
      if (url !== undefined) resolve(url);
    });
    stdout?.on("end", () => reject(new Error(`the demo has ended: ${said}`)));
  });
}

beforeAll(async () => {
  if (chromiumPath === undefined) return;
  const env = { ...process.env };
  delete env.REDIS_URI;
  demo = spawn(process.execPath, ["--import", "tsx", "examples/demo/demo.ts"], {
    cwd: root,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [url, started] = await Promise.all([addressOf(demo), startBrowser()]);
  browser = started;
  page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
  await page.goto(url);
});
afterAll(async () => {
  await browser?.close();
  demo?.kill("SIGKILL");
});

function press(name: string): Promise<void> {
  return page.getByRole("button", { name }).click();
}

function dashboard(): Frame {
  const [, frame] = page.frames();
  if (frame === undefined) throw new Error("the demo shows no dashboard");
  return frame;
}

function showsState(title: string): Promise<void> {
  return dashboard().locator(".state", { hasText: title }).waitFor();
}

/** What the page says of how often all was well again, and of what is wrong. */
async function recoveries(): Promise<number> {
  expect(await page.locator(".verdict").innerText()).toMatch(
    /^✓ [\d,]+ changes read back: each exactly once, in order$/,
  );
  return page
    .getByText(/All is well again: the [\d,]+ changes that waited are in the stream\. None was lost/)
    .count();
}

async function violations(where: Page | Frame): Promise<readonly string[]> {
  await where.evaluate(axe.source);
  const found: axe.Result[] = await where.evaluate("axe.run().then(({ violations }) => violations)");
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

describe.skipIf(chromiumPath === undefined)("the demo in Chromium (skipped where there is none)", () => {
  it("shows what is going on", async () => {
    await showsState("Publishing");
    await page.getByText("lost 0, doubled 0, out of order 0").waitFor();
    expect(await recoveries()).toBe(0);
  });

  it.each([
    { trouble: "a stopped Redis", start: "Stop Redis", state: "Retrying", end: "Start Redis again" },
    { trouble: "full memory", start: "Fill Redis' memory", state: "Retrying", end: "Free Redis' memory" },
  ])("shows $trouble, and that nothing was lost", async ({ start, state, end }) => {
    const before = await recoveries();
    await press(start);
    await showsState(state);
    await press(end);
    await expect.poll(recoveries).toBe(before + 1);
    await showsState("Publishing");
  });

  it("shows that the writer was killed, and that nothing was lost", async () => {
    const before = await recoveries();
    await press("Kill the writer");
    await dashboard().getByText("No word from the process that publishes").waitFor();
    await expect.poll(recoveries).toBe(before + 1);
    await showsState("Publishing");
    // The next writer's epoch fences whatever might be left of the one before.
    await dashboard()
      .getByText(/publishing after position .*, epoch 2/)
      .waitFor();
  });

  it("lets no other page press its buttons", async () => {
    const address = new URL("actions/killWriter", page.url());
    expect((await fetch(address, { method: "POST" })).status).toBe(403);
    const { status } = await fetch(new URL("actions/formatDisk", page.url()), {
      method: "POST",
      headers: { "x-demo": "button" },
    });
    expect(status).toBe(404);
  });

  it("has nothing for axe to complain of", async () => {
    expect(await violations(page)).toEqual([]);
    expect(await violations(dashboard())).toEqual([]);
  });

  it("ends well with Ctrl-C in the middle of an outage: it ends the outage first", async () => {
    await press("Stop Redis");
    await showsState("Retrying");
    const ended = once(demo, "exit");
    demo.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
    expect(said).toMatch(/✓ \d+ row changes in \d+ transactions: each stands in orders.events exactly once/);
  });
});
