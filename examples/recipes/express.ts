// A request is answered once its event is safe in the stream, and a rollout loses none.
import { randomUUID } from "node:crypto";
import express, { type ErrorRequestHandler } from "express";
import { isRxaddError, publisher, redisSink } from "rxadd";
import { health } from "rxadd/metrics";

/** What was ordered, as it stands in the stream. */
interface Order {
  readonly id: string;
  readonly item: string;
}

/** What a client may try again, here or at another instance. */
const later: ErrorRequestHandler = (error, _request, response, next) => {
  const isLater =
    isRxaddError(error) && (error._tag === "BufferOverflow" || error._tag === "PublisherClosed");
  if (isLater) response.status(503).set("retry-after", "1").json({ error: error._tag });
  else next(error);
};

/** Serves the shop; `stop` answers what was asked, within so many ms, also while Redis is away. */
export function shop(uri: string, port: number, withinMs = 5_000) {
  const ofSink = health();
  const orders = publisher(redisSink<Order>({ id: "shop", uri, stream: "orders.events", observers: ofSink }));
  const app = express();
  app.post("/orders", express.json(), async (request, response) => {
    const { item } = request.body ?? {};
    if (typeof item !== "string") return void response.status(400).json({ error: "item: expected text" });
    // A client that tries again sends the same key: consumers can leave out the second one.
    const id = request.get("idempotency-key") ?? randomUUID();
    const { entryId } = await orders.publish({ id, item });
    response.status(201).json({ id, entryId });
  });
  // Not ready: ask another instance. Not alive: start this one again.
  for (const [path, isWell] of [
    ["/readyz", "ready"],
    ["/healthz", "alive"],
  ] as const)
    app.get(path, (_request, response) => {
      const now = ofSink.now();
      response.status(now[isWell] ? 200 : 503).json(now);
    });
  app.use(later);
  const server = app.listen(port);
  return {
    server,
    stop: async () => {
      server.close();
      await orders.close({ withinMs }).catch((error) => console.error(error.message));
      // Browsers hold connections to spare, on which they have asked nothing.
      setTimeout(() => server.closeAllConnections(), 1_000).unref();
    },
  };
}

if (process.argv[1] === import.meta.filename) {
  const { REDIS_URI: uri = "redis://localhost:6379", PORT: port = 3000 } = process.env;
  const { stop } = shop(uri, Number(port));
  process.once("SIGTERM", stop).once("SIGINT", stop);
}
