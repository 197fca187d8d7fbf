import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, request as send } from "node:http";
import { connect } from "node:net";
import express from "express";
import fastify from "fastify";
import { type DashboardServer, dashboard, dashboardHandler } from "rxadd/dashboard";
import { firstValueFrom, lastValueFrom, map, range, type Subscription } from "rxjs";
import { afterEach, describe, expect, it } from "vitest";
import { redisSink } from "../../src/index.ts";
import { fakeRedis } from "../../src/testing/index.ts";
import { freePort } from "../kit/servers/redisServer.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function shop(id = "shop") {
  return redisSink<{ position: number }, number>({ id, connection: fakeRedis(), stream: "orders" });
}

/** The dashboard alone, on a free port, until the test ends. */
function serve(host?: string, sinks = [shop()]): Promise<DashboardServer> {
  return new Promise((resolve, reject) => {
    const serving = dashboard({ sinks, port: 0, ...(host && { host }) }).subscribe({
      next: resolve,
      error: reject,
    });
    closing.push(() => serving.unsubscribe());
  });
}

async function listening(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
}

/** The newest message of each name, once there is enough. */
async function messages(
  url: string,
  isEnough: (found: Readonly<Record<string, unknown>>) => boolean,
): Promise<Readonly<Record<string, unknown>>> {
  const stop = new AbortController();
  const response = await fetch(url, { signal: stop.signal });
  const found: Record<string, unknown> = {};
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    for (const [, name = "", data = ""] of text.matchAll(/event: (\w+)\ndata: (.*)\n\n/g)) {
      found[name] = JSON.parse(data);
    }
    text = text.slice(text.lastIndexOf("\n\n") + 2);
    if (isEnough(found)) break;
  }
  stop.abort();
  return found;
}

describe("dashboard", () => {
  it("serves a page whose files it has itself, under a policy that allows nothing else", async () => {
    const { url, port } = await serve();
    expect(url).toBe(`http://127.0.0.1:${port}/`);
    const page = await fetch(url);
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const html = await page.text();
    const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file = ""]) => file);
    expect(files).toEqual(["data:,", "page.css", "page.js"]);
    expect(html).not.toMatch(/<script(?![^>]*src=)|style=| on\w+=/);
    for (const file of ["page.css", "page.js"]) {
      const response = await fetch(new URL(file, url));
      expect(response.status).toBe(200);
      // A namespace is a name, not an address.
      expect((await response.text()).replaceAll("http://www.w3.org/", "")).not.toMatch(
        /(?:url\(|import\(|fetch\(|src=)["']?https?:/,
      );
    }
    const policy = page.headers.get("content-security-policy");
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
    expect(policy).not.toContain("unsafe");
    expect(page.headers.get("x-content-type-options")).toBe("nosniff");
  });

  it("tells what was before, and then how the sinks stand", async () => {
    const sink = shop();
    const { url } = await serve(undefined, [sink]);
    await lastValueFrom(
      range(1, 3).pipe(
        map((position) => ({ position })),
        sink,
      ),
    );
    const isClosed = ({ sinks }: Readonly<Record<string, unknown>>) =>
      JSON.stringify(sinks)?.includes('"closed"');
    // A moment is recorded four times a second.
    await expect.poll(async () => (await messages(`${url}events`, isClosed)).history).toHaveProperty("shop");
    const { sinks } = await messages(`${url}events`, isClosed);
    expect(sinks).toMatchObject([{ sink: "shop", state: { name: "closed" }, events: 3 }]);
  });

  it.each(["POST", "PUT", "DELETE", "OPTIONS"])("takes no %s: it is read-only", async (method) => {
    const { url } = await serve();
    const response = await fetch(url, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("GET, HEAD");
  });

  it.each(["", "page.js", "events"])("answers HEAD of /%s without a body", async (file) => {
    const { url } = await serve();
    const response = await fetch(`${url}${file}`, { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("");
  });

  it("knows no other file, also none above its own", async () => {
    const { port } = await serve();
    for (const path of ["/package.json", "/page.js.map", "/../package.json", "/%2e%2e%2fpackage.json"]) {
      const socket = connect(port, "127.0.0.1");
      socket.end(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
      const [answer] = await once(socket, "data");
      expect(`${answer}`, path).toMatch(/^HTTP\/1\.1 404 /);
    }
  });

  it("refuses a page of another name that leads to this machine", async () => {
    const { port } = await serve();
    const statusFor = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        send({ port, host: "127.0.0.1", headers: { host } }, ({ statusCode }: IncomingMessage) =>
          resolve(statusCode),
        )
          .on("error", reject)
          .end();
      });
    expect(await statusFor(`evil.example:${port}`)).toBe(421);
    expect(await statusFor(`localhost:${port}`)).toBe(200);
    expect(await statusFor("127.0.0.1")).toBe(200);
  });

  it("is reached by others only when it is told so", async () => {
    const { port, url } = await serve("0.0.0.0");
    expect(url).toBe(`http://0.0.0.0:${port}/`);
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { host: "any.example" } });
    expect(response.status).toBe(200);
  });

  it("says which port is taken, and what to do", async () => {
    const { port } = await serve();
    const failure = firstValueFrom(dashboard({ sinks: [shop()], port }));
    await expect(failure).rejects.toMatchObject({ _tag: "CannotListen" });
    await expect(failure).rejects.toThrow(
      `dashboard on 127.0.0.1:${port}: found listen EADDRINUSE: address already in use 127.0.0.1:${port}, expected a free port of this machine: choose another port or host`,
    );
  });

  it("takes the port again at once after it was unsubscribed, with a page open", async () => {
    const port = await freePort();
    for (let time = 1; time <= 3; time += 1) {
      let serving: Subscription | undefined;
      const { url } = await new Promise<DashboardServer>((resolve, reject) => {
        serving = dashboard({ sinks: [shop()], port }).subscribe({ next: resolve, error: reject });
      });
      const feed = await fetch(`${url}events`);
      serving?.unsubscribe();
      await expect(feed.text()).rejects.toThrow();
    }
  });

  it("wants sinks, with ids that tell them apart", () => {
    expect(() => dashboardHandler({ sinks: [] })).toThrow("dashboard: found no sink, expected");
    expect(() => dashboardHandler({ sinks: [shop(), shop()] })).toThrow(
      "dashboard: found the ids shop, shop, expected sinks with different ids",
    );
  });
});

describe("dashboardHandler", () => {
  function handler() {
    const made = dashboardHandler({ sinks: [shop()] });
    closing.push(() => made.unsubscribe());
    return made;
  }

  async function expectDashboard(base: string): Promise<void> {
    expect(await (await fetch(base)).text()).toContain('<script type="module" src="page.js">');
    expect((await fetch(new URL("page.js", base))).status).toBe(200);
    await messages(new URL("events", base).href, (found) => "sinks" in found);
  }

  it("serves in node:http", async () => {
    const show = handler();
    const origin = await listening(createServer(show));
    await expectDashboard(`${origin}/`);
    await expectDashboard(`${origin}/below/somewhere/`);
  });

  it("serves in Express, also where the address lacks its last slash", async () => {
    const app = express();
    app.use("/ops/rxadd", handler());
    const origin = await listening(createServer(app));
    await expectDashboard(`${origin}/ops/rxadd/`);
    const redirected = await fetch(`${origin}/ops/rxadd`);
    expect(redirected.url).toBe(`${origin}/ops/rxadd/`);
    expect(await redirected.text()).toContain("page.js");
  });

  it("serves in Fastify", async () => {
    const show = handler();
    const app = fastify();
    app.get("/rxadd/*", (request, reply) => {
      reply.hijack();
      show(request.raw, reply.raw);
    });
    closing.push(() => app.close());
    await expectDashboard(
      `${await app.listen({ host: "127.0.0.1", port: 0, forceCloseConnections: true } as never)}/rxadd/`,
    );
  });

  it("ends the feeds of its pages when it is unsubscribed", async () => {
    const show = handler();
    const origin = await listening(createServer(show));
    const feed = await fetch(`${origin}/events`);
    show.unsubscribe();
    expect(await feed.text()).toContain("event: history");
  });

  it("has room for a page again when another one goes away", async () => {
    const origin = await listening(createServer(handler()));
    const open = async () => {
      const stop = new AbortController();
      return { stop, response: await fetch(`${origin}/events`, { signal: stop.signal }) };
    };
    const pages = await Promise.all(Array.from({ length: 100 }, open));
    expect(new Set(pages.map(({ response }) => response.status))).toEqual(new Set([200]));
    expect((await open()).response.status).toBe(503);
    pages[0]?.stop.abort();
    await expect.poll(async () => (await open()).response.status).toBe(200);
  });
});
