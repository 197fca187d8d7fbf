import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Registry } from "prom-client";
import { Observable } from "rxjs";
import type { SinkHealth } from "./health.ts";

export interface ServeMetricsOptions {
  readonly registry: Registry;
  /** Default 9000; 0 takes a free one. */
  readonly port?: number;
  /** Default `127.0.0.1`, which only this machine reaches. */
  readonly host?: string;
  /** The sinks that `/healthz` and `/readyz` tell of. Default: none. */
  readonly health?: readonly SinkHealth[];
}

/** Where the metrics are served. */
export interface MetricsServer {
  readonly port: number;
  readonly url: string;
}

/** The address cannot be served on. */
export class MetricsServerError extends Error {
  override readonly name = "MetricsServerError";
}

/**
 * Serves `/metrics` for Prometheus, `/healthz` and `/readyz` while it is subscribed to, and emits
 * where once it listens.
 *
 * `/healthz` answers 200 while every sink works or works on it, 503 once one has ended with an error;
 * `/readyz` answers 200 only while every sink is connected and publishing.
 *
 * @example
 * ```ts
 * const server = serveMetrics({ registry, health: [health] }).subscribe(({ url }) => console.log(url));
 * ```
 */
export function serveMetrics({
  registry,
  port = 9000,
  host = "127.0.0.1",
  health = [],
}: ServeMetricsOptions): Observable<MetricsServer> {
  return new Observable((subscriber) => {
    const server = createServer((request, response) => {
      answer(request, response, registry, health).catch((error) => {
        response.writeHead(500, { "content-type": "text/plain" }).end(`${error}\n`);
      });
    });
    server.once("error", (error) => {
      subscriber.error(
        new MetricsServerError(`metrics on ${host}:${port}: ${error.message}; choose another port`, {
          cause: error,
        }),
      );
    });
    server.listen(port, host, () => {
      const address = server.address();
      if (address === null || typeof address === "string") return;
      subscriber.next({ port: address.port, url: `http://${host}:${address.port}/metrics` });
    });
    return () => {
      server.close();
      server.closeAllConnections();
    };
  });
}

async function answer(
  { method, url = "/" }: IncomingMessage,
  response: ServerResponse,
  registry: Registry,
  health: readonly SinkHealth[],
): Promise<void> {
  response.setHeader("cache-control", "no-store");
  response.setHeader("x-content-type-options", "nosniff");
  if (method !== "GET" && method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD" }).end();
    return;
  }
  const sinks = health.map((sink) => sink.now());
  switch (url.split("?")[0]) {
    case "/metrics": {
      const text = await registry.metrics();
      response.writeHead(200, { "content-type": registry.contentType }).end(text);
      return;
    }
    case "/healthz":
      tell(
        response,
        sinks.every(({ isAlive }) => isAlive),
        sinks,
      );
      return;
    case "/readyz":
      tell(
        response,
        sinks.every(({ isReady }) => isReady),
        sinks,
      );
      return;
    default:
      response.writeHead(404, { "content-type": "text/plain" }).end("try /metrics, /healthz or /readyz\n");
  }
}

function tell(response: ServerResponse, isGood: boolean, sinks: readonly unknown[]): void {
  response
    .writeHead(isGood ? 200 : 503, { "content-type": "application/json" })
    .end(`${JSON.stringify({ ok: isGood, sinks })}\n`);
}
