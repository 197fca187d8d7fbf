// Notifications that come into a table reach the browsers of their users at once, over WebSockets.
// A browser that comes back names the last one it saw and gets what it missed, whether it, this server or Redis was away.
import type { IncomingMessage } from "node:http";
import { streamEntries } from "rxadd/consumer";
import {
  defer,
  filter,
  finalize,
  fromEvent,
  map,
  merge,
  mergeMap,
  NEVER,
  type Observable,
  ReplaySubject,
  share,
  takeUntil,
  tap,
} from "rxjs";
import { type WebSocket, WebSocketServer } from "ws";
import type { Notification } from "./browser.ts";

interface NotificationChange {
  readonly op: string;
  readonly after: { readonly user: string; readonly text: string } | null;
}

const keptMs = 10 * 60_000;
// Entry IDs are numbers with a hyphen between them.
const { compare } = new Intl.Collator("en", { numeric: true });

/** Serves `ws://localhost:8080/?user=ada&after=<the last ID it saw>`, and emits what it sends. */
export function liveNotifications(
  uri: string,
  port = 8080,
  until: Observable<unknown> = NEVER,
): Observable<Notification> {
  // One connection to Redis for all browsers; a new one gets what it may have missed from memory.
  const changes$ = defer(() =>
    streamEntries<NotificationChange>({
      uri,
      stream: "notifications.events",
      from: `${Date.now() - keptMs}`,
    }),
  ).pipe(
    filter(({ event }) => event.op === "c"),
    share({ connector: () => new ReplaySubject(Number.POSITIVE_INFINITY, keptMs) }),
  );

  const serve = (socket: WebSocket, { url = "" }: IncomingMessage) => {
    // An application takes the user from its session.
    const { user, after = "0-0" } = Object.fromEntries(new URLSearchParams(url.split("?")[1]));
    return changes$.pipe(
      filter(({ entryId, event }) => event.after?.user === user && compare(entryId, after) > 0),
      map(({ entryId, event }) => ({ id: entryId, text: event.after?.text ?? "" })),
      tap((notification) => {
        socket.send(JSON.stringify(notification));
        // It is too slow, and may come back.
        if (socket.bufferedAmount > 1024 * 1024) socket.terminate();
      }),
      takeUntil(merge(fromEvent(socket, "close"), fromEvent(socket, "error"))),
    );
  };

  return defer(() => {
    const server = new WebSocketServer({ port });
    return fromEvent(server, "connection", serve).pipe(
      mergeMap((sent$) => sent$),
      takeUntil(until),
      finalize(() => {
        for (const socket of server.clients) socket.close(1001);
        server.close();
      }),
    );
  });
}

if (process.argv[1] === import.meta.filename) {
  const uri = process.env.REDIS_URI ?? "redis://localhost:6379";
  const port = Number(process.env.PORT ?? 8080);
  liveNotifications(uri, port, fromEvent(process, "SIGINT")).subscribe(({ text }) => console.log(text));
}
