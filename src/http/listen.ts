import { createServer, type RequestListener } from "node:http";
import { isIPv6 } from "node:net";
import { Observable } from "rxjs";
import { rxaddError } from "../errors/rxaddError.ts";
import { messageOf } from "../errors/thrown.ts";
import { isLoopback, onlyAskedAsHere } from "./hostGuard.ts";

/** Where a server listens. */
export interface Listening {
  readonly port: number;
  /** Such as `http://127.0.0.1:9000`. */
  readonly origin: string;
}

/** What {@link listen} is told. */
export interface ListenOptions {
  /** What is served, for messages. */
  readonly name: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly handler: RequestListener;
}

/**
 * Listens for HTTP requests while it is subscribed to; emits where, once it does. Where only this machine is served, only
 * requests for it are answered. Teardown closes all connections.
 */
export function listen({ name, host, port, handler }: ListenOptions): Observable<Listening> {
  const authority = (port: number) => `${isIPv6(host) ? `[${host}]` : host}:${port}`;

  return new Observable((subscriber) => {
    const server = createServer(isLoopback(host) ? onlyAskedAsHere(handler) : handler);

    function fail(error: unknown): void {
      const found = messageOf(error);
      subscriber.error(
        rxaddError(
          "CannotListen",
          `${name} on ${authority(port)}: found ${found}, expected a free port of this machine: choose another port or host`,
          error,
        ),
      );
    }

    server.on("error", fail);
    server.on("listening", () => {
      const address = server.address();
      if (address === null || typeof address === "string") return;
      subscriber.next({ port: address.port, origin: `http://${authority(address.port)}` });
    });
    try {
      server.listen(port, host);
    } catch (error) {
      // Node throws a port out of range at once.
      fail(error);
    }
    return () => {
      server.close();
      server.closeAllConnections();
    };
  });
}
