import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { map, Observable } from "rxjs";
import type { Story } from "./story.ts";
import { type Action, actions } from "./troubles.ts";

/** What the site needs to know. */
export interface SiteOptions {
  readonly story$: Observable<Story>;
  readonly perform: (action: Action) => Promise<void>;
  /** Where the writer serves its dashboard; undefined: it is down. */
  readonly dashboardUrl: () => string | undefined;
}

const folder = fileURLToPath(new URL("page/", import.meta.url));

/** The page's program for the browser. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [`${folder}page.ts`],
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  return outputFiles[0]?.text ?? "";
}

/** Serves the demo's page on a free port of loopback; emits its address. */
export function site({ story$, perform, dashboardUrl }: SiteOptions): Observable<string> {
  return new Observable((subscriber) => {
    const script = bundle();

    async function answer(asked: IncomingMessage, response: ServerResponse): Promise<void> {
      const { method, url = "/" } = asked;
      response.setHeader("cache-control", "no-store");
      response.setHeader(
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; img-src data:",
      );
      if (!/^(localhost|127\.0\.0\.1)(:\d+)?$/.test(asked.headers.host ?? "")) {
        response.writeHead(421).end();
      } else if (url.startsWith("/dashboard/")) {
        passOn(asked, response, dashboardUrl());
      } else if (method === "POST") {
        await act(asked, response, url);
      } else if (url === "/") {
        response
          .setHeader("content-type", "text/html; charset=utf-8")
          .end(readFileSync(`${folder}index.html`));
      } else if (url === "/page.css") {
        response.setHeader("content-type", "text/css; charset=utf-8").end(readFileSync(`${folder}page.css`));
      } else if (url === "/page.js") {
        response.setHeader("content-type", "text/javascript; charset=utf-8").end(await script);
      } else if (url === "/story") {
        response.writeHead(200, { "content-type": "text/event-stream" });
        const telling = story$
          .pipe(map((story) => `data: ${JSON.stringify(story)}\n\n`))
          .subscribe((text) => response.write(text));
        response.on("close", () => telling.unsubscribe());
      } else {
        response.writeHead(404).end();
      }
    }

    async function act(asked: IncomingMessage, response: ServerResponse, url: string): Promise<void> {
      const action = actions.find((name) => url === `/actions/${name}`);
      // A header that another site's page cannot send: only this page's buttons do something.
      const isOurs = asked.headers["x-demo"] === "button";
      if (action !== undefined && isOurs) await perform(action);
      response.writeHead(action === undefined ? 404 : isOurs ? 204 : 403).end();
    }

    const server = createServer((asked, response) => {
      answer(asked, response).catch((error) => response.writeHead(500).end(`${error}`));
    });
    server.on("error", (error) => subscriber.error(error));
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (typeof address === "object" && address !== null)
        subscriber.next(`http://127.0.0.1:${address.port}/`);
    });
    return () => {
      server.close();
      server.closeAllConnections();
    };
  });
}

/** Asks the writer, whose port is another one after each start. */
function passOn(
  { url = "", method }: IncomingMessage,
  response: ServerResponse,
  to: string | undefined,
): void {
  const gone = () => {
    if (response.headersSent) response.destroy();
    else
      response.writeHead(502, { "content-type": "text/plain" }).end("The writer is down; it starts again.\n");
  };
  if (to === undefined) {
    gone();
    return;
  }
  const asking = request(new URL(url.replace("/dashboard/", ""), to), { method }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
    answer.on("error", gone);
  });
  asking.on("error", gone).end();
  response.on("close", () => asking.destroy());
}
