// app/orders/route.ts of Next.js, or what else answers a `Request` with a `Response`: an order is taken, or told as it comes.
import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { isRxaddError, publisher, redisSink } from "rxadd";
import { fromEvent } from "rxjs";
import { after, feed } from "./feed.ts";

interface Order {
  readonly id: string;
  readonly item: string;
}

// Not the Edge runtime, which has no TCP, and no answer is kept.
export const runtime = "nodejs";
export const dynamic = "force-dynamic";

const uri = process.env.REDIS_URI ?? "redis://localhost:6379";
const stream = "orders.events";

const open = () => publisher(redisSink<Order>({ id: "shop", uri, stream }));
// A build loads this module, too, so it connects no sooner than somebody orders; in development, where each change loads it again, once.
const kept = globalThis as { shopOrders?: ReturnType<typeof open> };
function orders() {
  kept.shopOrders ??= open();
  return kept.shopOrders;
}

/** The feed, from what comes after the last that a browser has seen. */
export function GET({ headers, signal }: Request): Response {
  const from = after(headers.get("last-event-id"));
  const told = feed({ uri, stream, from, until: fromEvent(signal, "abort") });
  // The type of Node is not quite that of the DOM.
  const body = Readable.toWeb(told) as ReadableStream;
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}

/** Takes an order, and answers once it is safe. */
export async function POST(request: Request): Promise<Response> {
  const body: unknown = await request.json().catch(() => undefined);
  if (!isObject(body) || typeof body.item !== "string")
    return Response.json({ error: "item: expected text" }, { status: 400 });
  const order = { id: request.headers.get("idempotency-key") ?? randomUUID(), item: body.item };
  try {
    const { entryId } = await orders().publish(order, { signal: request.signal });
    return Response.json({ id: order.id, entryId }, { status: 201 });
  } catch (error) {
    if (!isRxaddError(error) || error._tag !== "BufferOverflow") throw error;
    return Response.json({ error: error._tag }, { status: 503, headers: { "retry-after": "1" } });
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
