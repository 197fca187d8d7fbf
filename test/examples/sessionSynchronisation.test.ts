import { redisSink } from "rxadd";
import { filter, firstValueFrom, from, lastValueFrom, ReplaySubject } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type Session,
  type SessionState,
  sessionStates,
} from "../../examples/sessionSynchronisation/sessionSynchronisation.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { program } from "../kit/program/cli.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

const redis = emptyRedis();

function session(id: string, user: string, livesMs = 60_000): Session {
  return { id, user, expires: Date.now() + livesMs };
}

/** Publishes changes as the table of sessions would, from a position on; a text is the id of a session that ends. */
async function change(first: number, ...rows: readonly (Session | string)[]): Promise<void> {
  const events = rows.map((row, index) => ({
    id: `sessions/${first + index}`,
    position: first + index,
    before: typeof row === "string" ? session(row, "") : null,
    after: typeof row === "string" ? null : row,
  }));
  const sink = redisSink<(typeof events)[0], number>({
    id: "sessions",
    uri: redis.uri,
    stream: "sessions.events",
  });
  await lastValueFrom(from(events).pipe(sink));
}

/** An instance of the application, which ends with the test. */
function instance(uri = redis.uri) {
  const states$ = new ReplaySubject<SessionState>();
  const seen: SessionState[] = [];
  const running = sessionStates(uri).subscribe((state) => {
    seen.push(state);
    states$.next(state);
  });
  onTestFinished(() => running.unsubscribe());
  const until = (id: string, user: string | undefined) =>
    firstValueFrom(states$.pipe(filter((state) => state.id === id && state.session?.user === user)));
  return { seen, until };
}

describe("session synchronisation", () => {
  it("tells every instance of a login, and of a logout", async () => {
    const instances = [instance(), instance(), instance()];
    await change(1, session("s1", "ada"));
    await Promise.all(instances.map(({ until }) => until("s1", "ada")));

    await change(2, "s1");

    await Promise.all(instances.map(({ until }) => until("s1", undefined)));
  });

  it("tells an instance that starts of all sessions that live", async () => {
    await change(1, session("s1", "ada"), session("s2", "bob"), "s1", session("s2", "carol"));
    const { seen, until } = instance();
    await until("s2", "carol");
    const last = new Map(seen.map(({ id, session }) => [id, session?.user]));
    expect(last).toEqual(
      new Map([
        ["s1", undefined],
        ["s2", "carol"],
      ]),
    );
  });

  it("ends a session when its time is over, and not one that was prolonged", async () => {
    const { seen, until } = instance();
    await change(1, session("first", "carol"));
    await until("first", "carol");
    await change(
      2,
      session("short", "ada", 1000),
      session("prolonged", "bob", 1000),
      session("prolonged", "bob"),
    );
    await until("short", undefined);
    expect(seen.filter(({ id }) => id === "prolonged").map(({ session }) => session?.user)).toEqual([
      "bob",
      "bob",
    ]);
  });

  it("takes up again a session whose id has ended before", async () => {
    const { seen, until } = instance();
    await change(1, session("s1", "ada"), "s1");
    await until("s1", undefined);
    await change(3, session("s1", "bob"));
    await until("s1", "bob");
    expect(seen.map(({ session }) => session?.user)).toEqual(["ada", undefined, "bob"]);
  });

  it("keeps sessions while Redis is away, and then hears of the logout", async () => {
    await change(1, session("s1", "ada"));
    const proxy = await startProxy(redis.port);
    onTestFinished(() => proxy.stop());
    const { seen, until } = instance(proxy.uri);
    await until("s1", "ada");

    await proxy.refuse();
    await change(2, "s1");
    expect(seen).toHaveLength(1);
    await proxy.restore();

    await until("s1", undefined);
  });

  it("shows sessions as a program until it is told to stop", async () => {
    await change(1, session("s1", "ada"));
    const args = ["--import", "tsx", "examples/sessionSynchronisation/sessionSynchronisation.ts"];
    const run = program(args, "", { REDIS_URI: redis.uri });
    onTestFinished(() => void run.child.kill("SIGKILL"));
    await run.says("s1 is ada's");

    run.child.kill("SIGINT");
    await change(2, "s1");

    expect(await run.ended).toBe(0);
  });
});
