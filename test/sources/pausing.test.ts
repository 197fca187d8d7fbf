import { EventEmitter, on } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { BehaviorSubject, lastValueFrom, type Observable, Subject, take, throwError, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { type Flow, fromAsyncIterable, fromIterable, fromReadable } from "../../src/index.ts";

const numbers = [1, 2, 3, 4, 5];
const FAILED = new Error("the disk is gone");

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

  it("ends with an error of flow", async () => {
    const failing = make(throwError(() => FAILED));

    await expect(lastValueFrom(failing)).rejects.toBe(FAILED);
  });
});

describe("fromIterable", () => {
  it.each([
    ["does not speak yet", () => new Subject<Flow>()],
    ["speaks at once", () => new BehaviorSubject<Flow>("resume")],
  ])("gives 500 values a turn, also with a flow that %s", async (_, flow) => {
    const perTurn: number[] = [];
    function* endless() {
      for (let value = 1; ; value += 1) yield value;
    }
    let seen = 0;

    const subscription = fromIterable(endless(), flow()).subscribe(() => (seen += 1));
    for (let turn = 0; turn < 4; turn += 1) {
      perTurn.push(seen);
      seen = 0;
      await new Promise(setImmediate);
    }
    subscription.unsubscribe();

    expect(perTurn).toEqual([500, 500, 500, 500]);
  });

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

  it("returns the iterator at once when it is unsubscribed while it waits for a value", async () => {
    const emitter = new EventEmitter();
    const subscription = fromAsyncIterable(on(emitter, "change")).subscribe();
    expect(emitter.listenerCount("change")).toBe(1);

    subscription.unsubscribe();

    expect(emitter.listenerCount("change")).toBe(0);
  });

  it("pulls nothing while it is paused", async () => {
    const flow = new BehaviorSubject<Flow>("pause");
    let pulled = 0;
    const values = {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          pulled += 1;
          return { done: pulled > 2, value: pulled };
        },
      }),
    };
    const seen: number[] = [];

    const done = new Promise<void>((complete) =>
      fromAsyncIterable(values, flow).subscribe({ next: (value) => seen.push(value), complete }),
    );
    for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
    expect(pulled).toBe(0);
    flow.next("resume");
    await done;

    expect(seen).toEqual([1, 2]);
  });

  it("passes on what the iterable throws, and returns no iterator that has failed or ended by itself", async () => {
    let returned = 0;
    const iterable = (next: () => Promise<IteratorResult<number>>) => ({
      [Symbol.asyncIterator]: () => ({
        next,
        return: async () => {
          returned += 1;
          return { done: true as const, value: undefined };
        },
      }),
    });
    const failing = iterable(() => Promise.reject(FAILED));
    const empty = iterable(async () => ({ done: true, value: undefined }));

    await expect(lastValueFrom(fromAsyncIterable(failing))).rejects.toBe(FAILED);
    expect(await lastValueFrom(fromAsyncIterable(empty).pipe(toArray()))).toEqual([]);
    expect(returned).toBe(0);
  });

  it("does not mind an iterator whose return fails", async () => {
    const values = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: 1 }),
        return: () => Promise.reject(FAILED),
      }),
    };

    expect(await lastValueFrom(fromAsyncIterable(values).pipe(take(1)))).toBe(1);
  });

  it("waits for the promises of a plain iterable", async () => {
    expect(await lastValueFrom(fromAsyncIterable([Promise.resolve(1), 2]).pipe(toArray()))).toEqual([1, 2]);
  });
});

describe("fromReadable", () => {
  /** How it ends. */
  function endOf(readable: Readable): Promise<unknown> {
    return new Promise((resolve) => {
      fromReadable(readable).subscribe({ error: resolve, complete: () => resolve("complete") });
    });
  }

  it("ends with an error when the stream is closed before its end", async () => {
    const readable = new PassThrough();
    const end = endOf(readable);
    readable.write("a");
    readable.destroy();

    expect(await end).toMatchObject({ message: "fromReadable: the stream was closed before its end" });
  });

  it("ends with an error when the stream was closed before the subscription", async () => {
    const [closed, failed] = [new PassThrough(), new PassThrough()];
    failed.on("error", () => {});
    closed.destroy();
    failed.destroy(FAILED);
    await new Promise(setImmediate);

    expect(await endOf(closed)).toMatchObject({
      message: "fromReadable: the stream was closed before its end",
    });
    expect(await endOf(failed)).toBe(FAILED);
  });

  it("refuses a stream that has been read to its end already, rather than wait or miss what it said", async () => {
    const readable = Readable.from([1]);
    await endOf(readable);

    expect(await endOf(readable)).toMatchObject({
      message: "fromReadable: found a stream that has been read to its end already, expected one of its own",
    });
  });

  it("passes on an error of the stream, and takes one that comes after the end for nothing", async () => {
    const readable = new PassThrough();
    const end = endOf(readable);
    readable.destroy(FAILED);
    expect(await end).toBe(FAILED);

    expect(readable.emit("error", FAILED)).toBe(true);
  });

  it("leaves no listener on the stream but that", async () => {
    const readable = new PassThrough();
    const before = readable.eventNames().map((name) => [name, readable.listenerCount(name)]);

    fromReadable(readable).subscribe().unsubscribe();

    const after = readable.eventNames().map((name) => [name, readable.listenerCount(name)]);
    expect(after.filter(([name]) => name !== "error")).toEqual(before.filter(([name]) => name !== "error"));
  });
});
