import type { IncomingMessage, ServerResponse } from "node:http";
import { map, type Observable } from "rxjs";
import { listen } from "../http/listen.ts";
import { refuseUnknown } from "../options/decodeOptions.ts";
import type { Health, HealthObserver } from "./health.ts";
import type { MetricsRegistry } from "./metricsRegistry.ts";

/** What is served, and where. */
export interface ServeMetricsOptions {
  readonly registry: MetricsRegistry;
  /** Default 9000; 0 takes a free one. */
  readonly port?: number;
  /** Default `127.0.0.1`, which only this machine reaches, under its own name; `0.0.0.0` lets others scrape. */
  readonly host?: string;
  /** The sinks and consumers that `/healthz` and `/readyz` tell of. Default: none, which is healthy. */
  readonly health?: readonly HealthObserver[];
}

/** Where the metrics are served. */
export interface MetricsServer {
  readonly port: number;
  /** The address of `/metrics`. */
  readonly url: string;
}

/**
 * Serves `/metrics` for Prometheus, `/healthz` and `/readyz` for as long as it is subscribed to, and
 * emits where, once it listens.
 *
 * - `/healthz` is 200 while every sink and consumer works, or works on it, and 503 once one has ended with an error.
 * - `/readyz` is 200 while every one is connected and Redis does as it should, else 503.
 * - **Misuse** throws `ConfigurationInvalid` at once.
 * - **Errors** a `CannotListen` when it cannot listen.
 * - **Completion** never.
 * - **Teardown** closes the server and its connections.
 *
 * @example
 * ```ts
 * const server = serveMetrics({ registry, health: [health] }).subscribe(({ url }) => console.error(url));
 * ```
 */
export function serveMetrics(options: ServeMetricsOptions): Observable<MetricsServer> {
  refuseUnknown("serveMetrics", options, { registry: true, port: true, host: true, health: true });
  const { registry, port = 9000, host = "127.0.0.1", health = [] } = options;
  return listen({
    name: "metrics",
    host,
    port,
    handler: (request, response) => {
      response.setHeader("cache-control", "no-store");
      response.setHeader("x-content-type-options", "nosniff");
      answer(request, response, registry, health).catch((error) => {
        send(response, 500, text, `metrics: ${error instanceof Error ? error.message : error}\n`);
      });
    },
  }).pipe(map(({ port, origin }) => ({ port, url: `${origin}/metrics` })));
}

const text = "text/plain; charset=utf-8";

async function answer(
  { method, url = "/" }: IncomingMessage,
  response: ServerResponse,
  registry: MetricsRegistry,
  health: readonly HealthObserver[],
): Promise<void> {
  if (method !== "GET" && method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    send(response, 405, text, `found ${method}, expected GET or HEAD\n`);
    return;
  }
  switch (url.split("?")[0]) {
    case "/metrics":
      send(response, 200, registry.contentType, await registry.metrics());
      break;
    case "/healthz":
      tell(response, health, ({ alive }) => alive);
      break;
    case "/readyz":
      tell(response, health, ({ ready }) => ready);
      break;
    default:
      send(response, 404, text, "expected /metrics, /healthz or /readyz\n");
  }
}

/** Says whether all are well, and how each is. */
function tell(
  response: ServerResponse,
  health: readonly HealthObserver[],
  isWell: (health: Health) => boolean,
): void {
  const sinks = health.map((sink) => sink.now());
  const ok = sinks.every(isWell);
  send(response, ok ? 200 : 503, "application/json", `${JSON.stringify({ ok, sinks })}\n`);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type }).end(body);
}
