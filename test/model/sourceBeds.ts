import { firstValueFrom, type Observable, type SchedulerLike, startWith, VirtualTimeScheduler } from "rxjs";
import { filter, timeout } from "rxjs/operators";
import type { SinkSettings } from "../../src/index.ts";
import { type FakeRedis, fakeRedis } from "../../src/testing/index.ts";
import type { LogEvent } from "../kit/load/forgettingLog.ts";
import type { RedisServer } from "../kit/servers/redisServer.ts";
import { stuckMs } from "./patience.ts";
import type { Happening, History } from "./sourceHistory.ts";

/** Where a sink publishes, and under which id. */
export interface Place {
  readonly sink: number;
  readonly id: string;
  readonly stream: string;
}

/** Where the sinks of a history publish, and what time it is there. */
export interface Bed {
  /** What a sink needs to get there. */
  readonly target: (place: Place) => Partial<SinkSettings<LogEvent, number>> & Target;
  /** What happens to Redis; the step begins with it. */
  readonly happen: (happening: Happening, places: readonly Place[]) => Promise<void>;
  /** Lets a part of the step go by: so many ms, or so many turns of a real process. */
  readonly advance: (ms: number) => Promise<void>;
  /** Lets the step end, and returns whether it did: when all is quiet, or when its time is over. */
  readonly rest: (isQuiet: () => boolean, told$: Observable<unknown>) => Promise<boolean>;
  /** The ids of the events in the stream of a sink. */
  readonly ids: (place: Place) => Promise<readonly string[]>;
  /** The same, and the position that is stored, at this very moment, where that can be said. */
  readonly now:
    | {
        readonly ids: (place: Place) => readonly string[];
        readonly stored: (place: Place) => string | undefined;
      }
    | undefined;
  /** All that has ever been seen there, also what Redis has lost since. */
  readonly ever: (place: Place) => ReadonlySet<string>;
  /** The position that is stored for a sink. */
  readonly stored: (place: Place) => Promise<string | undefined>;
  /** How long others wait for an optional sink, in ms: where none is ever away, as long as it takes. */
  readonly patienceMs: number;
  readonly scheduler: SchedulerLike | undefined;
}

type Target = { readonly connection: FakeRedis } | { readonly uri: string };

const stateOf = ({ id, stream }: Place) => `{${stream}}:rxadd:${id}`;
/** All keys of a sink: its stream, its producer state, and the mark of that. */
const keysOf = (place: Place) => [place.stream, stateOf(place), `${stateOf(place)}:mark`];
const idIn = (event: string): string => JSON.parse(event).id;

/** Which of them a happening takes away. */
function lostKeys({ do: what }: Happening, place: Place): readonly string[] {
  const [stream, state, mark] = keysOf(place);
  const lost = {
    empty: [stream, state, mark],
    loseAll: [stream, state],
    loseState: [state],
    loseMark: [mark],
  };
  const keys: readonly (string | undefined)[] = what in lost ? lost[what as keyof typeof lost] : [];
  return keys.filter((key) => key !== undefined);
}

/** What has ever been seen in each stream. */
class Seen {
  readonly #of = new Map<string, Set<string>>();

  at({ stream }: Place): Set<string> {
    const seen = this.#of.get(stream) ?? new Set();
    this.#of.set(stream, seen);
    return seen;
  }

  add<A extends readonly string[]>(place: Place, ids: A): A {
    const seen = this.at(place);
    for (const id of ids) seen.add(id);
    return ids;
  }
}

/** How long a step takes, in virtual ms. */
const stepMs = 3000;

/** What becomes of the connection of a sink in one step, which begins with its sign. */
function signsOf(happening: Happening, sink: number, condition: string): string {
  if (!("sink" in happening) || happening.sink !== sink) return `${condition} ${stepMs - 1}ms`;
  if (happening.do === "loseNewest") return `${happening.batches} ${stepMs - 1}ms`;
  if (happening.do === "cut" && condition === "o") {
    const { ms } = happening;
    return `o ${ms}ms x 9ms o ${stepMs - 12 - ms}ms`;
  }
  return `${condition} ${stepMs - 1}ms`;
}

function conditionAfter(happening: Happening, sink: number, before: string): string {
  if (!("sink" in happening) || happening.sink !== sink) return before;
  return happening.do === "down" ? happening.how : happening.do === "up" ? "o" : before;
}

/** Redis in memory, in virtual time: what becomes of each connection is known beforehand. */
export function fakeBed({ happenings }: History, places: () => readonly Place[]): Bed {
  const scheduler = new VirtualTimeScheduler();
  const seen = new Seen();
  const look = () => {
    for (const place of places()) idsNow(place);
  };
  // Made first, so that it comes first: what is lost with the sign of a step was there before.
  for (const step of happenings.keys()) scheduler.schedule(look, (step + 1) * stepMs);
  const redises = [0, 1, 2].map((sink) => {
    let condition = "o";
    const signs = happenings.map((happening) => {
      condition = conditionAfter(happening, sink, condition);
      return signsOf(happening, sink, condition);
    });
    // One more at the end: everything is there again.
    return fakeRedis({ replies: [`o ${stepMs - 1}ms`, ...signs, "o"].join(" "), scheduler });
  });
  const redisOf = ({ sink }: Pick<Place, "sink">): FakeRedis => {
    const redis = redises[sink];
    if (redis === undefined) throw new RangeError(`there is no sink ${sink}`);
    return redis;
  };
  const idsNow = (place: Place) => seen.add(place, redisOf(place).events(place.stream).map(idIn));
  const storedNow = (place: Place) => redisOf(place).position(place.id, place.stream);
  const advance = async (ms: number) => {
    scheduler.maxFrames = scheduler.frame + ms;
    scheduler.flush();
    scheduler.frame = scheduler.maxFrames;
  };
  return {
    scheduler,
    patienceMs: 50,
    target: (place) => ({ connection: redisOf(place) }),
    happen: async (happening, all) => {
      await advance(1);
      for (const place of all)
        if ("sink" in happening && happening.sink === place.sink)
          for (const key of lostKeys(happening, place)) redisOf(place).del(key);
    },
    advance,
    // Until just before the next step, which begins with what Redis loses.
    rest: async () => {
      await advance(stepMs - ((scheduler.frame + 1) % stepMs));
      return true;
    },
    stored: async (place) => storedNow(place),
    ids: async (place) => idsNow(place),
    now: { ids: idsNow, stored: storedNow },
    ever: (place) => seen.at(place),
  };
}

/** A key, and what it held, as Redis dumps it; null: it was not there. */
interface Kept {
  readonly key: string;
  readonly dump: unknown;
}

/** A real server, which keeps what it had, to go back there. It is never down: the fake one is. */
export function realBed({ client, uri }: RedisServer): Bed {
  /** What each key of a sink held before each step. */
  const earlier = new Map<number, (readonly Kept[])[]>();
  const seen = new Seen();
  let cutting: Promise<void> | undefined;

  const idsOf = (entries: unknown): readonly string[] =>
    (Array.isArray(entries) ? entries : []).map(([, [, event]]) => idIn(String(event)));

  // All keys at one moment, both ways: a sink is publishing meanwhile, and half of a batch is what no server loses.
  async function keep(place: Place): Promise<void> {
    const dumping = client.multi();
    for (const key of keysOf(place)) dumping.dumpBuffer(key);
    const dumped = (await dumping.exec()) ?? [];
    const kept = keysOf(place).map((key, index) => ({ key, dump: dumped[index]?.[1] }));
    earlier.set(place.sink, [...(earlier.get(place.sink) ?? []), kept]);
  }

  /** Puts other things where keys are; what was there has been seen. */
  async function replace(place: Place, keys: readonly string[], kept: readonly Kept[]): Promise<void> {
    if (keys.length === 0) return;
    const replacing = client
      .multi()
      .xrange(place.stream, "-", "+")
      .del(...keys);
    for (const { key, dump } of kept) if (dump instanceof Buffer) replacing.restore(key, 0, dump);
    const [before] = (await replacing.exec()) ?? [];
    seen.add(place, idsOf(before?.[1]));
  }

  async function cut({ id }: Place): Promise<void> {
    const clients = String(await client.client("LIST"));
    for (const line of clients.split("\n"))
      if (line.includes(` name=rxadd:${id} `)) {
        const [, number = ""] = /^id=(\d+)/.exec(line) ?? [];
        await client.client("KILL", "ID", number);
      }
  }

  const advance = async (turns: number) => {
    for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
  };

  return {
    scheduler: undefined,
    patienceMs: stuckMs,
    target: () => ({ uri }),
    happen: async (happening, places) => {
      for (const place of places) await keep(place);
      if (!("sink" in happening)) return;
      const place = places[happening.sink];
      if (place === undefined) return;
      if (happening.do === "cut") cutting = advance(happening.ms).then(() => cut(place));
      if (happening.do === "loseNewest")
        await replace(place, keysOf(place), earlier.get(place.sink)?.at(-1 - happening.batches) ?? []);
      else await replace(place, lostKeys(happening, place), []);
    },
    advance,
    rest: async (isQuiet, told$) => {
      await cutting;
      cutting = undefined;
      return firstValueFrom(told$.pipe(startWith(undefined), filter(isQuiet), timeout(stuckMs))).then(
        () => true,
        () => false,
      );
    },
    stored: async (place) => (await client.hget(stateOf(place), "position")) ?? undefined,
    ids: async (place) => seen.add(place, idsOf(await client.xrange(place.stream, "-", "+"))),
    now: undefined,
    ever: (place) => seen.at(place),
  };
}
