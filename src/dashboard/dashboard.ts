import { defer, finalize, map, type Observable } from "rxjs";
import { listen } from "../http/listen.ts";
import { refuseUnknown } from "../options/decodeOptions.ts";
import { type DashboardHandlerOptions, dashboardHandler, handlerNames } from "./dashboardHandler.ts";

/** Which sinks are shown, and where. */
export interface DashboardOptions extends DashboardHandlerOptions {
  /** Default 8080; 0 takes a free one. */
  readonly port?: number;
  /** Default `127.0.0.1`, which only this machine reaches; `0.0.0.0` lets others look, at events as well. */
  readonly host?: string;
}

/** Where the dashboard is served. */
export interface DashboardServer {
  readonly port: number;
  /** The address of the page. */
  readonly url: string;
}

/**
 * Shows sinks live on a page of its own for as long as it is subscribed to, and emits where, once it listens.
 *
 * The page shows what each sink does and why, rates, latencies, the buffer, the checkpoint, streams, groups and the
 * newest events. It is read-only, has no password, and works without the internet.
 *
 * - **Misuse** throws `ConfigurationInvalid`.
 * - **Errors** a `CannotListen` when it cannot listen.
 * - **Completion** never.
 * - **Teardown** closes the server and its connections, and stops watching.
 *
 * @example
 * ```ts
 * const sink = redisSink({ id: "orders-redis", uri, stream: "orders.events" });
 * dashboard({ sinks: [sink] }).subscribe(({ url }) => console.log(`dashboard at ${url}`));
 * changes$.pipe(sink).subscribe();
 * ```
 */
export function dashboard(given: DashboardOptions): Observable<DashboardServer> {
  const { port = 8080, host = "127.0.0.1", ...options } = given;
  refuseUnknown("dashboard", given, { ...handlerNames, port: true, host: true });
  return defer(() => {
    const handler = dashboardHandler(options);
    return listen({ name: "dashboard", host, port, handler }).pipe(
      map(({ port, origin }) => ({ port, url: `${origin}/` })),
      finalize(() => handler.unsubscribe()),
    );
  });
}
