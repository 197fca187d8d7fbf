import { NEVER } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import { rateLimiter } from "../../examples/rateLimiting/rateLimiting.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { program } from "../kit/program/cli.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const redis = emptyRedis();
/** Longer than any test takes. */
const windowMs = 24 * 60 * 60_000;
/** More requests than are tried while an instance has not heard of the others yet. */
const many = 10_000;

/** An instance of the application, which ends with the test, or earlier. */
function instance(name: string, limit: number, { uri = redis.uri, window = windowMs } = {}) {
  const limiter = rateLimiter(uri, name, limit, NEVER, window);
  const sharing = limiter.sharing$.subscribe();
  onTestFinished(() => sharing.unsubscribe());
  return { ...limiter, stop: () => sharing.unsubscribe() };
}

/** How many of so many requests an instance lets pass. */
function passed({ allows }: ReturnType<typeof instance>, user: string, requests: number): number {
  return Array.from({ length: requests }, () => allows(user)).filter((allowed) => allowed).length;
}

/** How many requests pass until it refuses one, which it does once it has heard what the others let pass. */
async function passedUntilRefused({ allows }: ReturnType<typeof instance>, user: string): Promise<number> {
  let requests = 0;
  await waitUntil(() => {
    const allowed = allows(user);
    if (allowed) requests += 1;
    return !allowed;
  });
  return requests;
}

/** How many counts the instances have told. */
const told = () => redis.client.xlen("limits.events");

describe("rate limiting", () => {
  it("lets as many requests pass as the limit says, for each user", () => {
    const one = instance("one", 5);
    expect(passed(one, "ada", 8)).toBe(5);
    expect(passed(one, "bob", 3)).toBe(3);
  });

  it("decides on every instance by what all have counted", async () => {
    const [one, two] = [instance("one", many), instance("two", many)];
    expect(passed(one, "ada", many - 4)).toBe(many - 4);

    const requests = await passedUntilRefused(two, "ada");

    expect(requests).toBeGreaterThanOrEqual(4);
    expect(requests).toBeLessThan(many);
    expect(two.allows("bob")).toBe(true);
  });

  it("remembers what it has counted when it starts again", async () => {
    const first = instance("one", many);
    expect(passed(first, "ada", many)).toBe(many);
    await expect.poll(told).toBe(1);
    first.stop();

    expect(await passedUntilRefused(instance("one", many), "ada")).toBeLessThan(many);
  });

  it("begins anew with each window of time", async () => {
    const one = instance("one", 1, { window: 200 });
    expect(one.allows("ada")).toBe(true);
    await expect.poll(() => one.allows("ada"), { interval: 10 }).toBe(true);
  });

  it("goes on by itself while Redis is away, and tells what it has counted afterwards", async () => {
    const proxy = await startProxy(redis.port);
    onTestFinished(() => proxy.stop());
    const one = instance("one", 5, { uri: proxy.uri });
    one.allows("bob");
    await expect.poll(told).toBe(1);

    await proxy.refuse();
    expect(passed(one, "ada", 8)).toBe(5);
    await proxy.restore();

    await expect.poll(told).toBe(2);
    const [, last] = await redis.client.xrange("limits.events", "-", "+");
    expect(JSON.parse(last?.[1][1] ?? "")).toMatchObject({ requests: Array(5).fill({ user: "ada" }) });
  });

  it("answers as a program until it is told to stop", async () => {
    const args = ["--import", "tsx", "examples/rateLimiting/rateLimiting.ts"];
    const run = program(args, undefined, { REDIS_URI: redis.uri });
    onTestFinished(() => void run.child.kill("SIGKILL"));
    run.child.stdin?.write("ada\n");
    await run.says("allowed");

    run.child.kill("SIGINT");

    expect(await run.ended).toBe(0);
    // Told before it ended, although the signal came at once.
    expect(await told()).toBe(1);
  });
});
