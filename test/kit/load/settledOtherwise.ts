import { type Delivery, isAgain, type Settler, settledBy } from "../../../src/consumer/delivery.ts";

type Ways = (settler: Settler) => Partial<Settler>;

/** The same delivery, which is settled in its own way, where one is given; each time that it comes. */
export function settledOtherwise<E>(delivery: Delivery<E>, ways: Ways): Delivery<E> {
  return { ...delivery, [settledBy]: otherwise(delivery[settledBy], ways) };
}

function otherwise(settler: Settler, ways: Ways): Settler {
  const own: Partial<Settler> = ways(settler);
  const settle = own.settle ?? settler.settle.bind(settler);
  return {
    stream: settler.stream,
    group: settler.group,
    entryId: settler.entryId,
    content: settler.content,
    deliveries: settler.deliveries,
    mayStart: () => settler.mayStart(),
    start: (begin) => settler.start(begin),
    processed: (ids) => settler.processed(ids),
    horizon: () => settler.horizon(),
    ...own,
    settle: (verdict, told, removes) =>
      settle(
        verdict,
        {
          next: (outcome) =>
            told.next(isAgain(outcome) ? { again: otherwise(outcome.again, ways) } : outcome),
        },
        removes,
      ),
  };
}
