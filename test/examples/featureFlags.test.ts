import { type ChangeEvent, type Row, redisSink } from "rxadd";
import {
  filter,
  firstValueFrom,
  from,
  lastValueFrom,
  map,
  type Observable,
  ReplaySubject,
  take,
  toArray,
} from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Flags, featureFlags, isOn } from "../../examples/featureFlags/featureFlags.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { program } from "../kit/program/cli.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

const redis = emptyRedis();
const off = false;
const on = true;

/** Publishes changes of one flag after another, as the table of flags would; resolves when they are safe. */
async function change(
  first: number,
  ...changes: readonly (readonly [name: string, enabled: boolean | null])[]
) {
  const events = changes.map(([name, enabled], index): ChangeEvent<Row, number> => {
    const position = first + index;
    const row = enabled === null ? null : { name, enabled };
    return {
      ...{ id: `flags/${position}`, op: row === null ? "d" : "u", ts_ms: 0, source: { table: "flags" } },
      ...{ before: { name, enabled: false }, after: row, position },
    };
  });
  await lastValueFrom(from(events).pipe(redisSink({ id: "flags", uri: redis.uri, stream: "flags.events" })));
}

/** An instance of the application, which ends with the test. */
function instance(uri = redis.uri): Observable<Flags> {
  const flags$ = new ReplaySubject<Flags>(1);
  const running = featureFlags(uri).subscribe(flags$);
  onTestFinished(() => running.unsubscribe());
  return flags$;
}

/** Resolves when a flag is as expected. */
function until(flags$: Observable<Flags>, name: string, expected: boolean): Promise<boolean> {
  return firstValueFrom(isOn(flags$, name).pipe(filter((enabled) => enabled === expected)));
}

describe("feature flags", () => {
  it("tells every instance of a change", async () => {
    const instances = [instance(), instance(), instance()];
    await Promise.all(instances.map((flags$) => firstValueFrom(flags$)));

    await change(1, ["new-checkout", on]);

    await Promise.all(instances.map((flags$) => until(flags$, "new-checkout", on)));
  });

  it("gives an instance that starts the flags as they are now, and none as it was", async () => {
    await change(1, ...Array.from({ length: 1501 }, (_, n) => ["new-checkout", n % 2 === 1] as const));

    const flags$ = instance();
    const seen = lastValueFrom(isOn(flags$, "new-checkout").pipe(take(2), toArray()));
    const all = await firstValueFrom(flags$);
    await change(1502, ["new-checkout", on]);

    expect(all).toEqual(new Map([["new-checkout", off]]));
    expect(await seen).toEqual([off, on]);
  });

  it("has no flags where there are none", async () => {
    expect(await firstValueFrom(featureFlags(redis.uri))).toEqual(new Map());
  });

  it("switches a flag off that is deleted", async () => {
    await change(1, ["new-checkout", on], ["dark-mode", on]);
    const flags$ = instance();
    await until(flags$, "new-checkout", on);

    await change(3, ["new-checkout", null]);

    await until(flags$, "new-checkout", off);
    expect(await firstValueFrom(flags$)).toEqual(new Map([["dark-mode", on]]));
  });

  it("keeps its flags while Redis is away, and then hears of what has changed", async () => {
    await change(1, ["new-checkout", on]);
    const proxy = await startProxy(redis.port);
    onTestFinished(() => proxy.stop());
    const flags$ = instance(proxy.uri);
    await until(flags$, "new-checkout", on);

    await proxy.refuse();
    await change(2, ["new-checkout", off]);
    const during = await firstValueFrom(flags$.pipe(map((flags) => flags.get("new-checkout"))));
    await proxy.restore();

    expect(during).toBe(on);
    await until(flags$, "new-checkout", off);
  });

  it("starts also when Redis breaks off its first question", async () => {
    await change(1, ["new-checkout", on]);
    const proxy = await startProxy(redis.port);
    onTestFinished(() => proxy.stop());
    const broken = proxy.resetAfter(0, "requests");

    const flags$ = instance(proxy.uri);
    await broken;

    await until(flags$, "new-checkout", on);
  });

  it("shows its flags as a program until it is told to stop", async () => {
    await change(1, ["new-checkout", on]);
    const args = ["--import", "tsx", "examples/featureFlags/featureFlags.ts"];
    const run = program(args, "", { REDIS_URI: redis.uri });
    onTestFinished(() => void run.child.kill("SIGKILL"));
    await run.says("new-checkout");

    run.child.kill("SIGINT");

    expect(await run.ended).toBe(0);
  });
});
