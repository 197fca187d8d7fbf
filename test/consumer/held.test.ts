import { describe, expect, it, vi } from "vitest";
import { Held } from "../../src/consumer/held.ts";
import { Holding, type HoldingSettler } from "../../src/consumer/holding.ts";

const stream = "orders.events";

/** What is held of a stream, up to four, and what is told. */
function holding() {
  const report = vi.fn();
  const held = new Held({ window: 4, windowBytes: 100, enough: 2 }, report);
  const rooms: boolean[] = [];
  held.hasRoom$.subscribe((hasRoom) => rooms.push(hasRoom));
  const asked = { mayStart: vi.fn(), start: vi.fn(), settle: vi.fn(), processed: vi.fn(), horizon: vi.fn() };
  const settler: HoldingSettler = { group: "mailer", ...asked };
  const one = (number: number, bytes = 20, counted = 0): Holding =>
    new Holding({ stream, entryId: `${number}-0`, bytes }, ["event", "{}"], counted, settler);
  return { held, one, report, rooms };
}

describe("Held", () => {
  it("has room while there is enough for a read, in number and in bytes", () => {
    const { held, one, rooms } = holding();
    const all = [1, 2, 3].map((number) => one(number));
    for (const delivery of all) held.add(delivery);
    expect([held.room(), held.bytesRoom(), rooms]).toEqual([1, 40, [true, false]]);
    for (const delivery of all) held.remove(delivery);
    held.add(one(4, 60));

    expect(rooms).toEqual([true, false, true, false]);
    expect([held.room(), held.bytesRoom()]).toEqual([3, 40]);
  });

  it("counts an entry that comes twice once, with its bytes of now", () => {
    const { held, one } = holding();
    held.add(one(1));
    held.add(one(1, 30));

    expect([held.room(), held.bytesRoom()]).toEqual([3, 70]);
  });

  it("tells one time of an entry from the next, and knows how often it was started before", () => {
    const { held, one } = holding();
    const first = one(1, 20, 2);
    const second = first.again();
    held.add(first);
    held.replace(second);

    expect([held.has(first), held.has(second), second.counted]).toEqual([false, true, 2]);
    expect([first.deliveries, second.deliveries, second.content]).toEqual([3, 4, ["event", "{}"]]);
    held.remove(first);
    expect(held.has(second)).toBe(true);
    held.remove(second);
    expect([held.has(second), second.content, held.all()]).toEqual([false, [], []]);
  });

  it("takes all for its own until one is lost, which it tells once", () => {
    const { held, one, report } = holding();
    const [lost, other] = [one(1), one(2)];
    held.add(lost);
    expect(held.isOurs(other)).toBe(true);
    held.lose(lost, "another's");
    held.lose(lost, "gone");

    expect([held.isOurs(lost), held.isOurs(other)]).toEqual([false, false]);
    expect(report.mock.calls).toEqual([[{ state: "lost", stream, entryId: "1-0" }]]);
  });

  it("says how many it holds, now and whenever that shrinks", () => {
    const { held, one } = holding();
    const counts: number[] = [];
    held.add(one(1));
    held.count$.subscribe((count) => counts.push(count));
    held.add(one(2));
    const [first] = held.all();
    if (first !== undefined) held.remove(first);

    expect(counts).toEqual([1, 1]);
  });
});
