import { once } from "node:events";
import type { ClientRequest } from "node:http";
import { type ChangeEvent, type Row, redisSink } from "rxadd";
import { filter, firstValueFrom, from, lastValueFrom, ReplaySubject, Subject, scan } from "rxjs";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { WebSocket } from "ws";
import { notificationsOf } from "../../examples/liveNotifications/browser.ts";
import { liveNotifications } from "../../examples/liveNotifications/liveNotifications.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { program } from "../kit/program/cli.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { freePort } from "../kit/servers/freePort.ts";

const redis = emptyRedis();
let port: number;
let published: number;

beforeEach(async () => {
  // Browsers have it; Node has it from version 22 on.
  vi.stubGlobal("WebSocket", WebSocket);
  port = await freePort();
  published = 0;
});

/** Publishes notifications of one user, as their table would. */
async function notify(user: string, ...texts: readonly string[]): Promise<void> {
  const changes = texts.map((text): ChangeEvent<Row, number> => {
    published += 1;
    const origin = { op: "c", ts_ms: 0, source: { table: "notifications" } } as const;
    return { ...origin, id: `${published}`, before: null, after: { user, text }, position: published };
  });
  const stream = "notifications.events";
  await lastValueFrom(from(changes).pipe(redisSink({ id: "notifications", uri: redis.uri, stream })));
}

/** A server of the application, which ends with the test if it is not stopped before. */
function serve(uri = redis.uri) {
  const until = new Subject<void>();
  const ended = lastValueFrom(liveNotifications(uri, port, until), { defaultValue: undefined });
  const stop = async () => {
    until.next();
    await ended;
  };
  onTestFinished(stop);
  return stop;
}

/** A browser of a user. */
function browser(user: string, at = port) {
  const texts$ = new ReplaySubject<readonly string[]>(1);
  const running = notificationsOf(user, `ws://127.0.0.1:${at}`)
    .pipe(scan((texts: readonly string[], { text }) => [...texts, text], []))
    .subscribe(texts$);
  onTestFinished(() => running.unsubscribe());
  return {
    /** All that it has seen, once that is so many. */
    seen: (count: number) => firstValueFrom(texts$.pipe(filter((texts) => texts.length >= count))),
  };
}

/** Asks for a path that is no URL. */
function finishWith(path: string) {
  return (request: ClientRequest) => {
    request.path = path;
    request.end();
  };
}

describe("live notifications", () => {
  it("reach the browsers of their user, and no others", async () => {
    serve();
    const [ada, too, bob] = [browser("ada"), browser("ada"), browser("bob")];

    await notify("ada", "one");
    await notify("bob", "two");
    await notify("ada", "three");

    expect(await ada.seen(2)).toEqual(["one", "three"]);
    expect(await too.seen(2)).toEqual(["one", "three"]);
    expect(await bob.seen(1)).toEqual(["two"]);
  });

  it("come once each to a browser that was offline", async () => {
    serve();
    const proxy = await startProxy(port);
    onTestFinished(() => proxy.stop());
    const ada = browser("ada", proxy.port);
    await notify("ada", "one", "two");
    await ada.seen(2);

    await proxy.refuse();
    await notify("ada", "three");
    await proxy.restore();
    await notify("ada", "four");

    expect(await ada.seen(4)).toEqual(["one", "two", "three", "four"]);
  });

  it("come once each after the server was away", async () => {
    const stop = serve();
    const ada = browser("ada");
    await notify("ada", "one");
    await ada.seen(1);

    await stop();
    await notify("ada", "two");
    serve();
    await notify("ada", "three");

    expect(await ada.seen(3)).toEqual(["one", "two", "three"]);
  });

  it("come once each after Redis was away", async () => {
    const proxy = await startProxy(redis.port);
    onTestFinished(() => proxy.stop());
    serve(proxy.uri);
    const ada = browser("ada");
    await notify("ada", "one");
    await ada.seen(1);

    await proxy.refuse();
    await notify("ada", "two");
    await proxy.restore();

    expect(await ada.seen(2)).toEqual(["one", "two"]);
  });

  it("go on after a request that makes no sense", async () => {
    serve();
    const ada = browser("ada");
    await notify("ada", "one");
    await ada.seen(1);

    const strange = new WebSocket(`ws://127.0.0.1:${port}`, { finishRequest: finishWith("//") });
    await once(strange, "open");
    await notify("ada", "two");

    expect(await ada.seen(2)).toEqual(["one", "two"]);
  });

  it("are not kept in memory for a browser that reads none", async () => {
    serve();
    const fast = browser("ada");
    await notify("ada", "one");
    await fast.seen(1);
    const slow = new WebSocket(`ws://127.0.0.1:${port}?user=ada`);
    const [first] = await once(slow, "message");
    expect(JSON.parse(`${first}`)).toMatchObject({ text: "one" });
    slow.pause();
    let received = 0;
    slow.on("message", () => {
      received += 1;
    });

    const long = Array.from({ length: 40 }, () => "x".repeat(1_000_000));
    for (const text of long) await notify("ada", text);
    await fast.seen(1 + long.length);
    const closed = once(slow, "close");
    slow.resume();
    await closed;

    expect(received).toBeLessThan(long.length);
  });

  it("are served by a program until it is told to stop", async () => {
    const args = ["--import", "tsx", "examples/liveNotifications/liveNotifications.ts"];
    const run = program(args, "", { REDIS_URI: redis.uri, PORT: `${port}` });
    onTestFinished(() => void run.child.kill("SIGKILL"));
    const ada = browser("ada");
    await notify("ada", "one");
    await ada.seen(1);

    run.child.kill("SIGINT");

    expect(await run.ended).toBe(0);
  });
});
