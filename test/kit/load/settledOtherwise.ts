import { type Delivery, isAgain, type Settler, settledBy } from "../../../src/consumer/delivery.ts";

type Ways = (settler: Settler) => Partial<Settler>;

/** The same delivery, which is settled in its own way, where one is given; each time that it comes. */
export function settledOtherwise<E>(delivery: Delivery<E>, ways: Ways): Delivery<E> {
  return { ...delivery, [settledBy]: otherwise(delivery[settledBy], ways) };
}

function otherwise(settler: Settler, ways: Ways): Settler {
  return {
    stream: settler.stream,
    entryId: settler.entryId,
    deliveries: settler.deliveries,
    mayStart: () => settler.mayStart(),
    start: (begin) => settler.start(begin),
    settle: (verdict, told) =>
      settler.settle(verdict, {
        next: (outcome) => told.next(isAgain(outcome) ? { again: otherwise(outcome.again, ways) } : outcome),
      }),
    processed: (ids) => settler.processed(ids),
    ...ways(settler),
  };
}
