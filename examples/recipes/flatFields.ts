// A producer that added flat fields with `XADD` becomes a sink, and its consumers one by one `groupDeliveries`: none of them stops for it.
import { type Publisher, publisher, redisSink } from "rxadd";
import { acknowledge, groupDeliveries } from "rxadd/consumer";
import { fromEvent, type Observable } from "rxjs";

/** An order; what came before has it in flat fields alone. */
export interface Order {
  readonly orderId: string;
  readonly item: string;
}

const stream = "orders";

/** Adds what the old consumers read, in its order, and the same as JSON in `event`, beside producers that know nothing of that. */
export function orders(uri: string): Publisher<Order, unknown> {
  const content = ({ orderId, item }: Order) => [
    ...["type", "OrderPlaced", "orderId", orderId, "item", item],
    ...["event", JSON.stringify({ orderId, item })],
  ];
  return publisher(redisSink<Order>({ id: "orders-api", uri, stream, event: { content } }));
}

/** Works in the group of the old consumers: each entry goes to one of them. Without a field `event` all fields are the event. */
export function mailer(uri: string, mail: (order: Order) => Promise<unknown>, until: Observable<unknown>) {
  return groupDeliveries<Order>({ uri, stream, group: "mailer", until }).pipe(acknowledge(mail));
}

if (process.argv[1] === import.meta.filename) {
  const uri = process.env.REDIS_URI ?? "redis://localhost:6379";
  const shop = orders(uri);
  const mail = async ({ item }: Order) => console.log(`mailing ${item}`);
  mailer(uri, mail, fromEvent(process, "SIGINT")).subscribe({ complete: () => shop.close() });
  await shop.publish({ orderId: "1", item: "tea" });
}
