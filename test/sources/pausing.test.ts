import { Readable } from "node:stream";
import { BehaviorSubject, lastValueFrom, type Observable, take, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { type Flow, fromAsyncIterable, fromIterable, fromReadable } from "../../src/index.ts";

const numbers = [1, 2, 3, 4, 5];

async function* later(values: Iterable<number>, onReturn = () => {}): AsyncGenerator<number> {
  try {
    for (const value of values) yield value;
  } finally {
    onReturn();
  }
}

const sources: readonly (readonly [string, (flow?: Observable<Flow>) => Observable<number>])[] = [
  ["fromIterable", (flow) => fromIterable(numbers, flow)],
  ["fromAsyncIterable", (flow) => fromAsyncIterable(later(numbers), flow)],
  ["fromReadable", (flow) => fromReadable(Readable.from(numbers), flow)],
];

describe.each(sources)("%s", (_name, make) => {
  it("emits all values and completes", async () => {
    expect(await lastValueFrom(make().pipe(toArray()))).toEqual(numbers);
  });

  it("emits nothing between a pause and a resume", async () => {
    const flow = new BehaviorSubject<Flow>("resume");
    const seen: number[] = [];
    const done = new Promise<void>((resolve) => {
      make(flow).subscribe({
        next: (value) => {
          seen.push(value);
          if (value === 2) flow.next("pause");
        },
        complete: resolve,
      });
    });
    // Several turns of the event loop, in which a source that did not pause would go on.
    for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
    expect(seen).toEqual([1, 2]);

    flow.next("resume");
    await done;
    expect(seen).toEqual(numbers);
  });

  it("emits nothing while it starts paused", async () => {
    const seen: number[] = [];
    const subscription = make(new BehaviorSubject<Flow>("pause")).subscribe((value) => seen.push(value));
    for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
    subscription.unsubscribe();

    expect(seen).toEqual([]);
  });

  it("stops when nobody listens any more", async () => {
    expect(await lastValueFrom(make().pipe(take(2), toArray()))).toEqual([1, 2]);
  });
});

describe("fromIterable", () => {
  it("returns the iterator of an endless iterable when it is unsubscribed", async () => {
    let isReturned = false;
    function* endless() {
      try {
        for (let value = 1; ; value += 1) yield value;
      } finally {
        isReturned = true;
      }
    }

    expect(await lastValueFrom(fromIterable(endless()).pipe(take(3), toArray()))).toEqual([1, 2, 3]);
    expect(isReturned).toBe(true);
  });

  it("passes on what the iterable throws", async () => {
    function* failing() {
      yield 1;
      throw new Error("bad row");
    }

    await expect(lastValueFrom(fromIterable(failing()))).rejects.toThrow("bad row");
  });
});

describe("fromAsyncIterable", () => {
  it("returns the iterator when it is unsubscribed, also while paused", async () => {
    const flow = new BehaviorSubject<Flow>("resume");
    const returned = new Promise<void>((resolve) => {
      const subscription = fromAsyncIterable(later(numbers, resolve), flow).subscribe(() => {
        flow.next("pause");
        queueMicrotask(() => subscription.unsubscribe());
      });
    });

    await returned;
  });
});
