import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Subscription, type Unsubscribable } from "rxjs";
import { rxaddError } from "../errors/rxaddError.ts";
import { refuseUnknown } from "../options/decodeOptions.ts";
import type { Watchable } from "../telemetry/watchable.ts";
import { openFeed } from "./pageMessages.ts";
import type { WatchOptions } from "./watchSink.ts";

/** Which sinks a dashboard shows, and how closely it looks. */
export interface DashboardHandlerOptions extends Omit<WatchOptions, "scheduler"> {
  readonly sinks: readonly Watchable[];
}

export const handlerNames = { sinks: true, everyMs: true, redisEveryMs: true } as const;

/** Answers requests with the dashboard; unsubscribing closes its pages' connections and stops watching. */
export interface DashboardHandler extends Unsubscribable {
  (request: IncomingMessage, response: ServerResponse): void;
}

/** Pages that may look at once; each keeps a connection open. */
const maxPages = 100;

const headers = {
  // Nothing but the page's own files: no inline script, no other host, no plug-in, no form.
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store, no-transform",
};

const files = {
  "": { name: "index.html", type: "text/html; charset=utf-8" },
  "page.js": { name: "page.js", type: "text/javascript; charset=utf-8" },
  "page.css": { name: "page.css", type: "text/css; charset=utf-8" },
};

/**
 * Makes a handler of HTTP requests that shows sinks live: mount it in `node:http`, Express or Fastify.
 *
 * It is read-only, and shows events: let only those reach it who may see them. It begins to watch at once, so that
 * the charts show what was before the page was opened; Redis it asks only while a page is open. It does not keep a
 * program running by itself. Two sinks of one id, or an option that there is not, are `ConfigurationInvalid`.
 *
 * @example
 * ```ts
 * app.use("/rxadd", dashboardHandler({ sinks: [sink] }));
 * ```
 */
export function dashboardHandler(given: DashboardHandlerOptions): DashboardHandler {
  refuseUnknown("dashboardHandler", given, handlerNames);
  const { sinks, ...options } = given;
  const ids = sinks.map(({ id }) => id);
  if (ids.length === 0 || new Set(ids).size < ids.length) {
    throw rxaddError(
      "ConfigurationInvalid",
      `dashboard: found ${ids.length === 0 ? "no sink" : `the ids ${ids.join(", ")}`}, expected sinks with different ids`,
    );
  }
  const contents = new Map(
    Object.entries(files).map(([path, { name, type }]) => [
      path,
      { type, content: readFileSync(new URL(`./page/${name}`, import.meta.url)) },
    ]),
  );
  const feed = openFeed(sinks, options);
  const pages = new Subscription();
  let openPages = 0;

  function answer(request: IncomingMessage, response: ServerResponse): void {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      refuse(response, 405, `found ${request.method}, expected GET or HEAD`);
      return;
    }
    const file = fileOf(request);
    const found = contents.get(file);
    if (found !== undefined) {
      response
        .setHeader("content-type", found.type)
        .end(request.method === "HEAD" ? undefined : found.content);
    } else if (file === "events") {
      tell(request, response);
    } else if (isMount(request)) {
      // Mounted by Express at /rxadd; its files stand below /rxadd/.
      response.writeHead(302, { location: `${file}/` }).end();
    } else {
      refuse(response, 404, "expected the dashboard, page.js, page.css or events");
    }
  }

  /** Sends what happens, for as long as the page listens. */
  function tell({ method }: IncomingMessage, response: ServerResponse): void {
    if (openPages >= maxPages) {
      refuse(response, 503, `found ${maxPages} open pages, expected fewer`);
      return;
    }
    // Without the second one nginx would collect what there is to tell.
    response.writeHead(200, { "content-type": "text/event-stream", "x-accel-buffering": "no" });
    if (method === "HEAD") {
      response.end();
      return;
    }
    openPages += 1;
    const telling = feed.messages$.subscribe({
      next: ({ name, text }) => {
        // A page that is slow gets the next numbers; what was before it gets once.
        if (name === "history" || !response.writableNeedDrain) response.write(text);
      },
      complete: () => response.end(),
    });
    telling.add(() => response.end());
    pages.add(telling);
    response.on("close", () => {
      openPages -= 1;
      telling.unsubscribe();
    });
  }

  return Object.assign(answer, {
    unsubscribe: () => {
      pages.unsubscribe();
      feed.unsubscribe();
    },
  });
}

/** The last part of the path as the browser asked for it, wherever a framework has mounted the handler. */
function fileOf(request: IncomingMessage): string {
  const url = "originalUrl" in request ? String(request.originalUrl) : request.url;
  return /([^/?]*)(?:\?.*)?$/.exec(url ?? "")?.[1] ?? "";
}

/** Express leaves out where it has mounted the handler. */
function isMount({ url = "" }: IncomingMessage): boolean {
  return /^\/(\?.*)?$/.test(url);
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
}
