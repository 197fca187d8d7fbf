import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";

/** Whether a host name leads to this machine alone. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[?::1\]?)$/i.test(host);
}

/**
 * Refuses requests for other hosts: a page of the internet, whose name an attacker lets lead to this machine, must not
 * read what is served here.
 */
export function onlyAskedAs(isHost: (host: string) => boolean, handler: RequestListener): RequestListener {
  return (request: IncomingMessage, response: ServerResponse & { req: IncomingMessage }) => {
    const host = (request.headers.host ?? "").replace(/:\d+$/, "");
    if (isHost(host)) return handler(request, response);
    response
      .writeHead(421, { "content-type": "text/plain; charset=utf-8" })
      .end("expected this machine's own name, such as localhost: to let others look, set host\n");
  };
}
