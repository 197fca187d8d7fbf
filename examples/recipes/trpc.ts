// A subscription of tRPC: it goes on after the last entry that its client has seen.
import { initTRPC, tracked } from "@trpc/server";
import { createHTTPServer } from "@trpc/server/adapters/standalone";
import { streamEntries } from "rxadd/consumer";
import { toAsyncIterable } from "rxadd/operators";
import { fromEvent, NEVER } from "rxjs";
import { after } from "./feed.ts";

interface Order {
  readonly id: string;
  readonly item: string;
}

const t = initTRPC.create();

/** What the client of tRPC says; it fills in `lastEventId` when it comes back. */
function seen(input: unknown): { readonly lastEventId?: string } {
  const { lastEventId = undefined } = typeof input === "object" && input !== null ? { ...input } : {};
  return typeof lastEventId === "string" ? { lastEventId } : {};
}

/** The procedures of the shop. */
export function shop(uri: string) {
  return t.router({
    orders: t.procedure.input(seen).subscription(async function* ({ input, signal }) {
      // A generator that waits for a value cannot be ended from outside: the signal ends what it waits for.
      const until = signal === undefined ? NEVER : fromEvent(signal, "abort");
      const where = { uri, stream: "orders.events", from: after(input.lastEventId), until };
      const orders = toAsyncIterable((flow) => streamEntries<Order>({ ...where, flow }));
      for await (const { entryId, event } of orders) yield tracked(entryId, event);
    }),
  });
}

if (process.argv[1] === import.meta.filename) {
  const { REDIS_URI: uri = "redis://localhost:6379", PORT: port = 3000 } = process.env;
  const server = createHTTPServer({ router: shop(uri) }).listen(Number(port));
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  process.once("SIGTERM", stop).once("SIGINT", stop);
}
