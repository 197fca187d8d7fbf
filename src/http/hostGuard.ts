import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { isIPv4 } from "node:net";

/** Whether a host name leads to this machine alone. */
export function isLoopback(host: string): boolean {
  return /^(localhost|\[?::1\]?)$/i.test(host) || (isIPv4(host) && host.startsWith("127."));
}

/**
 * Refuses requests for other hosts where only this machine is served: a page of the internet, whose name an attacker lets lead
 * to this machine, must not read what is served here.
 */
export function onlyAskedAsHere(handler: RequestListener): RequestListener {
  return (request: IncomingMessage, response: ServerResponse & { req: IncomingMessage }) => {
    const host = (request.headers.host ?? "").replace(/:\d+$/, "");
    if (isLoopback(host)) return handler(request, response);
    response
      .writeHead(421, { "content-type": "text/plain; charset=utf-8" })
      .end("expected this machine's own name, such as localhost: to let others look, set host\n");
  };
}
