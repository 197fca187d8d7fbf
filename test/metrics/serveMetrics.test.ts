import { once } from "node:events";
import { createServer, get } from "node:http";
import { connect } from "node:net";
import { Counter, Registry } from "prom-client";
import { firstValueFrom, type Subscription } from "rxjs";
import { afterEach, describe, expect, it } from "vitest";
import { rxaddError } from "../../src/errors/rxaddError.ts";
import {
  health,
  type MetricsServer,
  type ServeMetricsOptions,
  serveMetrics,
  sinkHealth,
} from "../../src/metrics/index.ts";
import { freePort } from "../kit/servers/redisServer.ts";

const cause = rxaddError("OutOfMemory", "orders: out of memory; raise maxmemory");
let serving: Subscription | undefined;

afterEach(() => serving?.unsubscribe());

/** Serves on a free port until the test ends. */
function serve(options: Partial<ServeMetricsOptions> = {}): Promise<MetricsServer> {
  return new Promise((resolve, reject) => {
    serving = serveMetrics({ registry: new Registry(), port: 0, ...options }).subscribe({
      next: resolve,
      error: reject,
    });
  });
}

function fetchFrom({ url }: MetricsServer, path: string, method = "GET"): Promise<Response> {
  return fetch(new URL(path, url), { method });
}

/** The status and the JSON of both health checks. */
async function checks(server: MetricsServer): Promise<Record<string, unknown>> {
  const [healthz, readyz] = await Promise.all([fetchFrom(server, "/healthz"), fetchFrom(server, "/readyz")]);
  return {
    healthz: healthz.status,
    readyz: readyz.status,
    healthzBody: await healthz.json(),
    readyzBody: await readyz.json(),
  };
}

describe("serveMetrics", () => {
  it("answers no page whose name leads here, unless others are to look", async () => {
    const statusFor = async ({ port }: MetricsServer, host: string) => {
      const [response] = await once(
        get({ host: "127.0.0.1", port, path: "/metrics", headers: { host } }),
        "response",
      );
      response.resume();
      return response.statusCode;
    };
    const here = await serve();
    for (const host of [`localhost:${here.port}`, "127.0.0.1", "[::1]:1"])
      expect(await statusFor(here, host)).toBe(200);
    for (const host of ["evil.example", "127.0.0.1.evil.example", "127.999.1.1"])
      expect(await statusFor(here, host)).toBe(421);

    serving?.unsubscribe();
    const everywhere = await serve({ host: "0.0.0.0" });
    expect(await statusFor(everywhere, "metrics.example")).toBe(200);
  });

  it("serves the registry at the address that it emits", async () => {
    const registry = new Registry();
    new Counter({ name: "seen_total", help: "Seen", registers: [registry] }).inc(3);
    const server = await serve({ registry });
    expect(server.url).toBe(`http://127.0.0.1:${server.port}/metrics`);
    const response = await fetch(server.url);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe(registry.contentType);
    expect(await response.text()).toContain("seen_total 3");
  });

  it("answers HEAD without a body, and heeds no query", async () => {
    const server = await serve();
    const response = await fetchFrom(server, "/healthz?verbose", "HEAD");
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("");
  });

  it("refuses other methods and says which it takes", async () => {
    const server = await serve();
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const response = await fetchFrom(server, "/metrics", method);
      expect(response.status).toBe(405);
      expect(response.headers.get("allow")).toBe("GET, HEAD");
    }
  });

  it("knows no other path", async () => {
    const server = await serve();
    for (const path of ["/", "/metrics/", "/favicon.ico"]) {
      expect((await fetchFrom(server, path)).status).toBe(404);
    }
  });

  it("forbids caching and sniffing in every answer", async () => {
    const server = await serve();
    for (const path of ["/metrics", "/healthz", "/readyz", "/nothing"]) {
      const { headers } = await fetchFrom(server, path);
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
    }
  });

  it("answers 500 and the reason when a metric cannot be collected", async () => {
    const registry = new Registry();
    new Counter({
      name: "broken_total",
      help: "Broken",
      registers: [registry],
      collect: () => {
        throw new Error("no such sensor");
      },
    });
    const response = await fetch((await serve({ registry })).url);
    expect(response.status).toBe(500);
    expect(await response.text()).toBe("metrics: no such sensor\n");
  });

  it("is alive but not ready while the sink connects and while it retries", async () => {
    const health = sinkHealth();
    const server = await serve({ health: [health] });
    const connecting = { alive: true, ready: false, state: "connecting" };
    expect(await checks(server)).toEqual({
      healthz: 200,
      healthzBody: { ok: true, sinks: [connecting] },
      readyz: 503,
      readyzBody: { ok: false, sinks: [connecting] },
    });
    health.next({ state: "retrying", attempt: 1, delayMs: 100, cause });
    const retrying = { alive: true, ready: false, state: "retrying", cause: cause.message };
    expect(await checks(server)).toEqual({
      healthz: 200,
      healthzBody: { ok: true, sinks: [retrying] },
      readyz: 503,
      readyzBody: { ok: false, sinks: [retrying] },
    });
  });

  it("is ready once the stream is opened, and stays so while the source is paused", async () => {
    const health = sinkHealth();
    const server = await serve({ health: [health] });
    health.next({ state: "opened", stream: "orders", epoch: 1, position: undefined, foreignEntries: 0 });
    expect(await checks(server)).toMatchObject({ healthz: 200, readyz: 200 });
    health.next({ state: "publishing" });
    health.next({ state: "paused", events: 10_000, bytes: 1 });
    expect(await checks(server)).toMatchObject({ healthz: 200, readyz: 200 });
  });

  it("is neither alive nor ready once the sink has ended with an error", async () => {
    const health = sinkHealth();
    const server = await serve({ health: [health] });
    health.next({ state: "closed", cause });
    expect(await checks(server)).toMatchObject({
      healthz: 503,
      readyz: 503,
      healthzBody: { ok: false, sinks: [{ state: "closed", cause: cause.message }] },
    });
  });

  it("is well only when all of several sinks are", async () => {
    const health = [sinkHealth(), sinkHealth()] as const;
    const server = await serve({ health });
    health[0].next({ state: "publishing" });
    expect(await checks(server)).toMatchObject({ healthz: 200, readyz: 503 });
    health[1].next({ state: "publishing" });
    expect(await checks(server)).toMatchObject({ healthz: 200, readyz: 200 });
    health[0].next({ state: "closed", cause });
    expect(await checks(server)).toMatchObject({ healthz: 503, readyz: 503 });
  });

  it("is well only when sinks and consumers are", async () => {
    const [sink, consumer] = [health(), health()];
    const server = await serve({ health: [sink, consumer] });
    sink.status({ state: "publishing" });
    expect(await checks(server)).toMatchObject({ healthz: 200, readyz: 503 });
    consumer.status({ state: "reading" });
    expect(await checks(server)).toMatchObject({
      ...{ healthz: 200, readyz: 200 },
      readyzBody: { ok: true, sinks: [{ state: "publishing" }, { state: "reading" }] },
    });
  });

  it("fails with one error that names the address when the port is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    if (address === null || typeof address === "string") throw new Error("no TCP address");
    try {
      const { port } = address;
      const failure = firstValueFrom(serveMetrics({ registry: new Registry(), port }));
      await expect(failure).rejects.toMatchObject({ _tag: "CannotListen" });
      await expect(failure).rejects.toThrow(`127.0.0.1:${port}`);
      await expect(failure).rejects.toThrow("choose another port");
    } finally {
      other.close();
    }
  });

  it("fails in the same way for a port that cannot be and a host that is elsewhere", async () => {
    const registry = new Registry();
    await expect(firstValueFrom(serveMetrics({ registry, port: 70_000 }))).rejects.toMatchObject({
      _tag: "CannotListen",
    });
    await expect(
      firstValueFrom(serveMetrics({ registry, port: 0, host: "192.0.2.1" })),
    ).rejects.toMatchObject({ _tag: "CannotListen" });
  });

  it("listens on subscribe only, and again on each subscription", async () => {
    const port = await freePort();
    const server$ = serveMetrics({ registry: new Registry(), port });
    const url = `http://127.0.0.1:${port}/healthz`;
    await expect(fetch(url)).rejects.toThrow();
    for (let time = 0; time < 2; time += 1) {
      await new Promise((resolve, reject) => {
        serving = server$.subscribe({ next: resolve, error: reject });
      });
      expect((await fetch(url)).status).toBe(200);
      serving?.unsubscribe();
      await expect(fetch(url)).rejects.toThrow();
    }
  });

  it("closes connections that are kept alive when it is unsubscribed", async () => {
    const { port } = await serve();
    const socket = connect(port, "127.0.0.1");
    socket.write("GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: keep-alive\r\n\r\n");
    await once(socket, "data");
    const closed = once(socket, "close");
    serving?.unsubscribe();
    await closed;
  });

  it("does not wait for an answer that is still to come when it is unsubscribed", async () => {
    const registry = new Registry();
    const collecting = new Promise<void>((resolve) => {
      new Counter({
        name: "slow_total",
        help: "Slow",
        registers: [registry],
        collect: () => {
          resolve();
          return new Promise(() => {});
        },
      });
    });
    const response = fetch((await serve({ registry })).url);
    await collecting;
    serving?.unsubscribe();
    await expect(response).rejects.toThrow();
  });

  it("never listens when it is unsubscribed at once", async () => {
    const port = await freePort();
    const emitted: MetricsServer[] = [];
    serveMetrics({ registry: new Registry(), port })
      .subscribe((server) => emitted.push(server))
      .unsubscribe();
    // The port is free for the next one, which would fail otherwise.
    await serve({ port });
    expect(emitted).toEqual([]);
  });
});
