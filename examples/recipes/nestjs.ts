// A module of NestJS with a consumer, a feed and its health. Instances share the work; each drains before it goes.
import "reflect-metadata";
import {
  type BeforeApplicationShutdown,
  Controller,
  Get,
  Headers,
  Inject,
  Injectable,
  type MessageEvent,
  Module,
  type OnApplicationBootstrap,
  ServiceUnavailableException,
  Sse,
} from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { acknowledge, effects, groupDeliveries, streamEntries } from "rxadd/consumer";
import { type Health, health } from "rxadd/metrics";
import { lastValueFrom, map, type Observable, Subject } from "rxjs";
import { after } from "./feed.ts";

interface Order {
  readonly id: string;
  readonly item: string;
}

const uri = process.env.REDIS_URI ?? "redis://localhost:6379";
const stream = "orders.events";

/** Counts what is ordered, each order once, as one consumer of a group. */
@Injectable()
class Totals implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly health = health();
  /** Emits when the application ends. */
  readonly ending = new Subject<void>();
  #counted: Promise<unknown> = Promise.resolve();

  onApplicationBootstrap(): void {
    const { ending, health } = this;
    const orders$ = groupDeliveries<Order>({
      uri,
      stream,
      group: "totals",
      until: ending,
      observers: health,
    });
    const count = ({ item }: Order) => effects(["HINCRBY", "{orders.events}:totals", item, 1]);
    this.#counted = lastValueFrom(orders$.pipe(acknowledge(count, { concurrency: 100 })), { defaultValue: 0 })
      // What ended it is in /healthz, for whoever starts it again.
      .catch((error) => console.error(error.message));
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.ending.next();
    await this.#counted;
  }
}

@Controller()
class Shop {
  readonly totals: Totals;

  constructor(@Inject(Totals) totals: Totals) {
    this.totals = totals;
  }

  @Sse("feed")
  feed(@Headers("last-event-id") last: string | undefined): Observable<MessageEvent> {
    const until = this.totals.ending;
    return streamEntries<Order>({ uri, stream, from: after(last), until }).pipe(
      map(({ entryId, event }) => ({ id: entryId, data: event })),
    );
  }

  @Get("healthz")
  healthz(): Health {
    const now = this.totals.health.now();
    if (!now.alive) throw new ServiceUnavailableException(now);
    return now;
  }
}

/** For the `imports` of an application. */
@Module({ controllers: [Shop], providers: [Totals] })
export class ShopModule {}

if (process.argv[1] === import.meta.filename) {
  const app = await NestFactory.create(ShopModule, {
    logger: ["warn", "error"],
    forceCloseConnections: true,
  });
  // At SIGTERM or SIGINT the application ends as above, with exit code 0.
  app.enableShutdownHooks([], { useProcessExit: true });
  await app.listen(process.env.PORT ?? 3000);
}
