import { Observable, type OperatorFunction, Subject } from "rxjs";
import { describe, expect, it, vi } from "vitest";
import { type RxaddError, rxaddError } from "../../src/errors/rxaddError.ts";
import type { Checkpoint } from "../../src/event/checkpoint.ts";
import { publisher } from "../../src/pipeline/publisher.ts";
import type { CallableSink, Caller } from "../../src/pipeline/sink.ts";

/** A sink whose checkpoints are given by hand. */
class Bench implements CallableSink<string, number> {
  readonly id = "shop";
  readonly published: string[] = [];
  readonly checkpoints$ = new Subject<Checkpoint<number>>();
  caller: Caller | undefined;
  isDrained = true;
  hasRoomFor = Number.POSITIVE_INFINITY;
  /** Does what an `encode` of the user's may do. */
  encode: (event: string) => void = () => {};

  readonly called = (caller: Caller): OperatorFunction<string, Checkpoint<number>> => {
    this.caller = caller;
    return (events$) =>
      new Observable((subscriber) => {
        subscriber.add(this.checkpoints$.subscribe(subscriber));
        subscriber.add(
          events$.subscribe({
            next: (event) => {
              this.encode(event);
              this.published.push(event);
              if (this.published.length >= this.hasRoomFor) caller.flow("pause");
            },
            complete: () => this.isDrained && subscriber.complete(),
          }),
        );
      });
  };

  safe(events: number): Checkpoint<number> {
    const { length: sequence } = this.published;
    const now = {
      sink: this.id,
      stream: "s",
      position: undefined,
      sequence,
      events,
      replayed: 0,
      entryId: `${sequence}-0`,
    };
    this.checkpoints$.next(now);
    return now;
  }
}

function opened() {
  const sink = new Bench();
  return { sink, orders: publisher(sink) };
}

/** What has become of promises so far. */
async function soFar(...promises: readonly Promise<unknown>[]): Promise<readonly unknown[]> {
  const waits = new Promise((resolve) => setImmediate(resolve, "waits"));
  const tagOf = (error: RxaddError) => error._tag ?? error;
  return Promise.all(promises.map((promise) => Promise.race([promise.catch(tagOf), waits])));
}

/** Gives these, and then hangs. */
async function* thenNothing(...events: readonly string[]): AsyncGenerator<string> {
  yield* events;
  await new Promise(() => {});
}

const tooLarge = rxaddError("EventTooLarge", "event 2: found 9 bytes");

describe("publisher", () => {
  it("answers each call with the checkpoint that it is safe with, in the order of the calls", async () => {
    const { sink, orders } = opened();
    const [a, b, c] = [orders.publish("a"), orders.publish("b"), orders.publish("c")];

    expect(sink.published).toEqual(["a", "b", "c"]);
    const first = sink.safe(2);
    expect(await soFar(a, b, c)).toEqual([first, first, "waits"]);
    const second = sink.safe(1);
    expect(await c).toBe(second);
  });

  it("rejects what the sink cannot publish, and nothing else", async () => {
    const { sink, orders } = opened();
    const calls = ["a", "b", "c"].map((event) => orders.publish(event));
    sink.caller?.refused(1, tooLarge);

    expect(await soFar(...calls)).toEqual(["waits", "EventTooLarge", "waits"]);
    sink.safe(1);
    const newest = sink.safe(2);
    expect(await calls[2]).toBe(newest);
    const next = orders.publish("d");
    sink.caller?.refused(3, tooLarge);
    await expect(next).rejects.toBe(tooLarge);
  });

  it("rejects all calls, now and later, when the sink ends", async () => {
    const { sink, orders } = opened();
    const calls = ["a", "b"].map((event) => orders.publish(event));
    sink.checkpoints$.error(rxaddError("AuthenticationFailed", "no"));
    calls.push(orders.publish("c"));

    expect(await soFar(...calls, orders.publishAll(["d"]))).toEqual(Array(4).fill("AuthenticationFailed"));
    await expect(orders.close()).resolves.toBeUndefined();
  });

  it("takes a call from within an encode after the one that is in hand", async () => {
    const { sink, orders } = opened();
    const within: Promise<unknown>[] = [];
    sink.encode = (event) => {
      if (event === "a") within.push(orders.publish("b"), orders.publish("c"));
    };
    sink.hasRoomFor = 2;
    const first = orders.publish("a");

    expect(sink.published).toEqual(["a", "b"]);
    const last = sink.safe(2);
    expect(await soFar(first, ...within)).toEqual([last, last, "BufferOverflow"]);
  });

  it("rejects a call while half of the buffer waits, and takes the next when there is room", async () => {
    const { sink, orders } = opened();
    sink.caller?.flow("pause");
    await expect(orders.publish("a")).rejects.toMatchObject({
      _tag: "BufferOverflow",
      message: /shop.*publishAll/,
    });
    sink.caller?.flow("resume");
    const call = orders.publish("b");

    expect(sink.published).toEqual(["b"]);
    const last = sink.safe(1);
    expect(await call).toBe(last);
  });

  describe("publishAll", () => {
    it("waits for room, and resolves with the last checkpoint", async () => {
      const { sink, orders } = opened();
      const all = orders.publishAll(
        (function* () {
          yield "a";
          sink.caller?.flow("pause");
          yield* ["b", "c"];
        })(),
      );

      expect(await soFar(all)).toEqual(["waits"]);
      expect(sink.published).toEqual(["a"]);
      sink.caller?.flow("resume");
      expect(await soFar(all)).toEqual(["waits"]);
      expect(sink.published).toEqual(["a", "b", "c"]);
      sink.safe(2);
      const last = sink.safe(1);
      expect(await all).toBe(last);
    });

    it("rejects with the first error only when the others are safe", async () => {
      const { sink, orders } = opened();
      const some = orders.publishAll(["a", "b", "c"]);
      await soFar(some);
      sink.caller?.refused(2, tooLarge);
      sink.caller?.refused(1, rxaddError("EventNotEncodable", "no"));
      expect(await soFar(some)).toEqual(["waits"]);
      sink.safe(3);
      await expect(some).rejects.toBe(tooLarge);
    });

    it("refuses what is no list of events", async () => {
      const { sink, orders } = opened();
      await expect(orders.publishAll(7 as unknown as Iterable<string>)).rejects.toBeInstanceOf(TypeError);
      expect(sink.published).toEqual([]);
    });

    it("resolves with nothing for nothing", async () => {
      expect(await opened().orders.publishAll([])).toBeUndefined();
    });

    it("resolves with what is safe also when the publisher is closed meanwhile", async () => {
      const { sink, orders } = opened();
      sink.isDrained = false;
      const all = orders.publishAll(["a"]);
      await soFar(all);
      const closed = orders.close();
      const last = sink.safe(1);
      expect(await all).toBe(last);
      sink.checkpoints$.complete();
      await closed;
    });

    it("shares the room with another one", async () => {
      const { sink, orders } = opened();
      sink.hasRoomFor = 2;
      const both = [orders.publishAll(["a", "b"]), orders.publishAll(["c", "d"])];
      await soFar(...both);
      expect(sink.published).toHaveLength(2);
      sink.hasRoomFor = 4;
      sink.caller?.flow("resume");
      await soFar(...both);
      const last = sink.safe(4);

      expect(await Promise.all(both)).toEqual([last, last]);
      expect([...sink.published].sort()).toEqual(["a", "b", "c", "d"]);
    });

    it("waits no longer for its source when the publisher is closed", async () => {
      const { sink, orders } = opened();
      sink.isDrained = false;
      const all = orders.publishAll(thenNothing("a"));
      await soFar(all);
      const closed = orders.close();
      expect(await soFar(all)).toEqual(["waits"]);
      sink.safe(1);
      sink.checkpoints$.complete();
      await closed;
      await expect(all).rejects.toMatchObject({ _tag: "PublisherClosed" });
      await expect(orders.publishAll(thenNothing())).rejects.toMatchObject({ _tag: "PublisherClosed" });
    });

    it("stops where its source fails, or where the publisher is closed", async () => {
      const { sink, orders } = opened();
      const failing = orders.publishAll(
        (function* () {
          yield "a";
          throw new Error("no more");
        })(),
      );
      await expect(failing).rejects.toThrow("no more");
      expect(sink.published).toEqual(["a"]);
      sink.caller?.flow("pause");
      const waiting = orders.publishAll(["b"]);
      await soFar(waiting);
      const closed = orders.close();
      await expect(waiting).rejects.toMatchObject({ _tag: "PublisherClosed" });
      await closed;
    });
  });

  describe("a signal", () => {
    it("rejects a call that waits with its reason; the event is published all the same", async () => {
      const { sink, orders } = opened();
      const giveUp = new AbortController();
      const calls = [orders.publish("a", giveUp), orders.publish("b")];
      const reason = new Error("gone");
      giveUp.abort(reason);

      await expect(calls[0]).rejects.toBe(reason);
      expect(sink.published).toEqual(["a", "b"]);
      const last = sink.safe(2);
      expect(await calls[1]).toBe(last);
    });

    it("publishes nothing when it is given up before", async () => {
      const { sink, orders } = opened();
      await expect(orders.publish("a", { signal: AbortSignal.abort("gone") })).rejects.toBe("gone");
      expect(sink.published).toEqual([]);
    });

    it("ends the waiting of publishAll for room", async () => {
      const { sink, orders } = opened();
      sink.caller?.flow("pause");
      const giveUp = new AbortController();
      const all = orders.publishAll(["a"], giveUp);
      await soFar(all);
      giveUp.abort("gone");
      await expect(all).rejects.toBe("gone");
    });

    it("ends all calls, whatever publishAll waits for, with one listener for all of them", async () => {
      const { sink, orders } = opened();
      const giveUp = new AbortController();
      const listened = vi.spyOn(giveUp.signal, "addEventListener");
      const waits = orders.publishAll(thenNothing("a"), giveUp);
      const safe = orders.publishAll(Array(20).fill("b"), giveUp);
      await soFar(waits, safe);
      const calls = [orders.publish("d", giveUp), orders.publish("e", giveUp)];
      expect(listened).toHaveBeenCalledTimes(1);
      giveUp.abort("gone");

      expect(await soFar(waits, safe, ...calls)).toEqual(Array(4).fill("gone"));
      const endless = orders.publishAll(Array(20).fill("c"), giveUp);
      await expect(endless).rejects.toBe("gone");
      expect(sink.published).toHaveLength(23);
    });

    it("is let go of when the call is answered", async () => {
      const { sink, orders } = opened();
      const { signal } = new AbortController();
      const removed = vi.spyOn(signal, "removeEventListener");
      const call = orders.publish("a", { signal });
      sink.safe(1);
      await call;
      expect(removed).toHaveBeenCalledOnce();
    });
  });

  describe("close", () => {
    it("takes nothing more, and waits for what was taken", async () => {
      const { sink, orders } = opened();
      sink.isDrained = false;
      const call = orders.publish("a");
      const closed = orders.close();

      await expect(orders.publish("b")).rejects.toMatchObject({ _tag: "PublisherClosed" });
      expect(await soFar(call, closed)).toEqual(["waits", "waits"]);
      const last = sink.safe(1);
      sink.checkpoints$.complete();
      expect(await call).toBe(last);
      await closed;
    });

    it("gives up after `withinMs`, and says how many events are not known to be safe", async () => {
      const { sink, orders } = opened();
      sink.isDrained = false;
      const call = orders.publish("a");
      const closed = orders.close({ withinMs: 1 });
      const late = {
        _tag: "PublisherClosed",
        message: expect.stringContaining("found 1 event not known to be safe after 1 ms"),
      };

      await expect(call).rejects.toMatchObject(late);
      await expect(closed).rejects.toMatchObject(late);
      expect(sink.checkpoints$.observed).toBe(false);
    });

    it("may be called again, and refuses what it does not know", async () => {
      const { orders } = opened();
      await Promise.all([orders.close(), orders.close()]);
      await expect(orders.close({ within: 3 } as object)).rejects.toThrow(/within: no such option.*withinMs/);
      await expect(orders.publish("a", { abort: 3 } as object)).rejects.toThrow(/abort: no such option/);
    });
  });
});
