// A feed of the stream for browsers.
import fastify, { type FastifyInstance } from "fastify";
import { Subject } from "rxjs";
import { after, feed } from "./feed.ts";

/** `new EventSource("/feed")` misses nothing, whether it, this server or Redis was away; `close` ends its feeds. */
export function shop(uri: string): FastifyInstance {
  // Not only its feeds, also the connections that browsers hold to spare.
  const app = fastify({ forceCloseConnections: true });
  const until = new Subject<void>();
  app.get("/feed", ({ headers }, reply) =>
    reply
      .headers({ "content-type": "text/event-stream", "cache-control": "no-store" })
      .send(feed({ uri, stream: "orders.events", from: after(headers["last-event-id"]), until })),
  );
  app.addHook("preClose", async () => until.next());
  return app;
}

if (process.argv[1] === import.meta.filename) {
  const { REDIS_URI: uri = "redis://localhost:6379", PORT: port = 3000 } = process.env;
  const app = shop(uri);
  await app.listen({ port: Number(port) });
  process.once("SIGTERM", () => app.close()).once("SIGINT", () => app.close());
}
