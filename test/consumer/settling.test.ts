import { type Observable, of, Subject, throwError } from "rxjs";
import { describe, expect, it } from "vitest";
import { retryBackoff } from "../../operators/retryBackoff.ts";
import { Settling } from "../../src/consumer/settling.ts";
import { rxaddError } from "../../src/errors/rxaddError.ts";
import type { Outcome, Settlement } from "../../src/redis/group/settlement.ts";

/** Settles by a connection whose answers the test gives, and says what was sent and told. */
function settling(...answers: readonly Observable<readonly Outcome[]>[]) {
  const sent: { readonly stream: string; readonly ids: readonly string[]; readonly token: string }[] = [];
  const told: string[] = [];
  const settle = (stream: string, all: readonly Settlement[], _keep: number, token: string) => {
    sent.push({ stream, ids: all.map(({ entryId }) => entryId), token });
    return answers[sent.length - 1] ?? of(all.map(() => "acknowledged" as const));
  };
  const settlements = new Settling({ settle }, retryBackoff({ initialMs: 0 }));
  const ask = (entryId: string, stream = "a", effect = "") =>
    settlements.ask({
      ...{ kind: "acknowledge", stream, entryId, mark: "", keep: 0, removes: false },
      effects: [["SET", "key", effect]],
      done: (outcome) => told.push(`${entryId} ${outcome instanceof Error ? outcome._tag : outcome}`),
    });
  return { settlements, ask, sent, told };
}

const ticks = () => new Promise((resolve) => setTimeout(resolve, 5));

describe("Settling", () => {
  it("sends what is asked for at once together, and what is asked for meanwhile with the next round", async () => {
    const answer$ = new Subject<readonly Outcome[]>();
    const { settlements, ask, sent, told } = settling(answer$);
    ask("1");
    const running = settlements.run$.subscribe();
    ask("2");
    await ticks();
    ask("3");
    ask("4");
    await ticks();
    expect(sent.map(({ ids }) => ids)).toEqual([["1", "2"]]);
    answer$.next(["acknowledged", "gone"]);
    answer$.complete();
    await ticks();
    ask("5");
    await ticks();
    running.unsubscribe();

    expect(sent.map(({ ids }) => ids)).toEqual([["1", "2"], ["3", "4"], ["5"]]);
    expect(told).toEqual(["1 acknowledged", "2 gone", "3 acknowledged", "4 acknowledged", "5 acknowledged"]);
  });

  it("makes one call of each stream, of 1,000 settlements and 8 MiB at most", async () => {
    const { settlements, ask, sent } = settling();
    const running = settlements.run$.subscribe();
    for (let id = 1; id <= 1200; id += 1) ask(`${id}`, id % 2 === 0 ? "a" : "b");
    for (let id = 1; id <= 3; id += 1) ask(`${id}`, "c", "x".repeat(5 * 1024 * 1024));
    await ticks();
    running.unsubscribe();

    expect(sent.map(({ stream, ids }) => `${stream} ${ids.length}`)).toEqual([
      ...["b 500", "a 500", "b 100", "a 100", "c 1", "c 1", "c 1"],
    ]);
  });

  it("asks again, with the same token, what has no answer, and with a new one what could not be done now", async () => {
    const lost = throwError(() => rxaddError("ConnectionLost", "away"));
    const busy = rxaddError("OutOfMemory", "full");
    const { settlements, ask, sent, told } = settling(lost, of(["acknowledged", busy, "kept"]));
    const running = settlements.run$.subscribe();
    for (const id of ["1", "2", "3"]) ask(id);
    await ticks();
    await ticks();
    running.unsubscribe();

    expect(sent.map(({ ids }) => ids)).toEqual([["1", "2", "3"], ["1", "2", "3"], ["2"]]);
    const [first, second, third] = sent.map(({ token }) => token);
    expect([second === first, third === first]).toEqual([true, false]);
    expect(told).toEqual(["1 acknowledged", "3 kept", "2 acknowledged"]);
  });

  it("tells all that has no answer as gone when it ends, and what is asked for later", async () => {
    const { settlements, ask, told } = settling(new Subject());
    const running = settlements.run$.subscribe();
    ask("1");
    await ticks();
    ask("2");
    running.unsubscribe();
    settlements.end();
    ask("3");

    expect(told).toEqual(["1 gone", "2 gone", "3 gone"]);
  });
});
