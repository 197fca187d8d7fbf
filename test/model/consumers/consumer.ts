import { map, Subject, type Subscription, tap } from "rxjs";
import {
  acknowledge,
  acknowledgeBatch,
  type ConsumerStatus,
  type Decision,
  type Delivery,
  deadLetter,
  deduplicate,
  type Effects,
  effects,
  giveBack,
  groupDeliveries,
  retryIn,
} from "../../../src/consumer.ts";
import { settledOtherwise } from "../../kit/load/settledOtherwise.ts";
import type { Valve } from "../../kit/network/valve.ts";
import type { Item, Ledger } from "./ledger.ts";
import type { Ending, History } from "./step.ts";

/** What the entries of a history hold. */
export interface Event {
  readonly id: string;
  readonly key: string;
}

export const group = "g";
export const effectsKey = "effects";
export const deadLetters = "dead";
/** Short enough that a history need not wait. */
export const claimIdleMs = 30;

/** A handler at work, which ends one way or the other. */
type Task = (how: Ending) => void;

/** A process of the group. */
export interface Consumer {
  readonly name: string;
  readonly valve: Valve;
  readonly finish: (task: number, how: Ending) => void;
  /** What runs succeeds, and so does what comes. */
  readonly succeedAlways: () => void;
  readonly drain: () => void;
  readonly die: () => void;
  readonly isAlive: () => boolean;
  readonly isDraining: () => boolean;
  readonly ending: () => "completed" | { readonly error: unknown } | undefined;
}

export interface ConsumerOptions {
  readonly name: string;
  readonly history: History;
  readonly streams: readonly string[];
  readonly ledger: Ledger;
  readonly valve: Valve;
  readonly violated: (what: string) => void;
}

export function startConsumer({
  name,
  history,
  streams,
  ledger,
  valve,
  violated,
}: ConsumerOptions): Consumer {
  const { window, concurrency, orders, deduplicates, batches, removes, maxDeliveries } = history;
  const until = new Subject<void>();
  let tasks: Task[] = [];
  let succeedsAlways = false;
  let isDraining = false;
  let isDead = false;
  let ending: "completed" | { readonly error: unknown } | undefined;

  const aboutToStart = new Set<Item>();
  // What was handed out and not settled, as far as anybody was told.
  // With its content, which tells one that came back from the one before.
  const held = new Map<string, Delivery<Event>["content"]>();
  const lines = new Map<string, string[]>();
  const nameOf = ({ stream, entryId }: { readonly stream: string; readonly entryId: string }) =>
    `${stream} ${entryId}`;

  function settled(entry: { readonly stream: string; readonly entryId: string }): void {
    held.delete(nameOf(entry));
    leaveLine(entry);
  }

  function leaveLine(entry: { readonly stream: string; readonly entryId: string }): void {
    for (const [key, line] of lines)
      lines.set(
        key,
        line.filter((other) => other !== nameOf(entry)),
      );
  }

  function told(status: ConsumerStatus): void {
    const told = "entryIds" in status ? status.entryIds : "entryId" in status ? [status.entryId] : [];
    // One that failed comes again; of all other ones this is the end.
    if (status.state === "rejected" || !("stream" in status)) return;
    for (const entryId of told) {
      settled({ stream: status.stream, entryId });
      const item = ledger.at(status.stream, entryId);
      if (item !== undefined && status.state !== "deadLetter") item.wasTold = true;
    }
  }

  function delivered(delivery: Delivery<Event>): void {
    const item = ledger.at(delivery.stream, delivery.entryId);
    if (item === undefined) violated(`${name}: ${nameOf(delivery)} was never added`);
    else item.wasDelivered = true;
    held.set(nameOf(delivery), delivery.content);
    if (held.size > window) violated(`${name}: holds ${held.size} deliveries, its window is ${window}`);
  }

  /** Redis counts a start just before it happens; of one that nobody else is started beside it takes that for sure. */
  function watched(delivery: Delivery<Event>): Delivery<Event> {
    const item = ledger.at(delivery.stream, delivery.entryId);
    return settledOtherwise(delivery, (settler) => ({
      start: (begin) => {
        const isAlone = settler.deliveries > 2;
        if (isAlone && item !== undefined) aboutToStart.add(item);
        settler.start((loss) => {
          if (item !== undefined && aboutToStart.delete(item) && loss !== undefined) item.missed += 1;
          begin(loss);
        });
      },
      settle: (verdict, told, removes) => {
        // Given back, or left with one that was.
        if (verdict.kind !== "left") return settler.settle(verdict, told, removes);
        leaveLine(delivery);
        settler.settle(
          verdict,
          {
            next: (outcome) => {
              settled(delivery);
              told.next(outcome);
            },
          },
          removes,
        );
      },
    }));
  }

  function handle(events: readonly Event[], deliveries: readonly Delivery<Event>[]) {
    const items = deliveries.map(({ stream, entryId }, index) => {
      const item = ledger.at(stream, entryId);
      if (item === undefined) throw new Error("unknown");
      item.started += 1;
      const key = events[index]?.key ?? "";
      const line = lines.get(key) ?? [];
      if (orders && line[0] !== nameOf(item))
        violated(`${name}: ${nameOf(item)} of key ${key} is handled before ${line[0]}`);
      return item;
    });
    if (items.some(({ kind, started }) => kind === "throws" && started === 1))
      throw new Error("thrown at once");
    const succeeded = () => {
      for (const item of items) item.succeeded += 1;
      return batches
        ? undefined
        : effects(...items.map(({ effect }) => ["HINCRBY", effectsKey, effect, 1] as const));
    };
    if (succeedsAlways) return succeeded();
    return new Promise<Effects | Decision | undefined>((end, fail) => {
      const task: Task = (how) => {
        tasks = tasks.filter((other) => other !== task);
        for (const item of items) {
          if (how === "giveBack") item.givenBack += 1;
          if (how === "setAside" && maxDeliveries > 0) item.isSetAside = true;
        }
        if (how === "fail") fail(new Error("failed"));
        else if (how === "succeed") end(succeeded());
        else end(how === "giveBack" ? giveBack() : how === "retry" ? retryIn(2) : deadLetter("set aside"));
      };
      tasks.push(task);
    });
  }

  const quick = { initialMs: 1, maxMs: 4, jitter: 0 };
  const deliveries$ = groupDeliveries<Event>({
    uri: `redis://127.0.0.1:${valve.port}`,
    stream: streams,
    group,
    consumer: name,
    window,
    blockMs: 20,
    claimIdleMs,
    ...(history.forgets && { removeIdleMs: claimIdleMs }),
    retry: quick,
    redelivery: quick,
    until,
    status: { next: told },
    ...(maxDeliveries > 0 && { maxDeliveries, deadLetters: { stream: deadLetters } }),
  }).pipe(tap(delivered));
  const once$ = deduplicates
    ? deliveries$.pipe(deduplicate({ key: ({ id }) => id, remove: removes, skipped: { next: settled } }))
    : deliveries$;

  const running: Subscription = once$
    .pipe(
      tap((delivery) => {
        const { key } = delivery.event;
        // One that was lost while it waited for another one is not handled.
        if (held.get(nameOf(delivery)) !== delivery.content) return;
        lines.set(key, [...(lines.get(key) ?? []), nameOf(delivery)]);
      }),
      map(watched),
      batches
        ? acknowledgeBatch(handle, { concurrency, remove: removes, maxEvents: 3, lingerMs: 1 })
        : acknowledge((event: Event, delivery) => handle([event], [delivery]), {
            concurrency,
            remove: removes,
            ...(orders && { orderBy: ({ key }: Event) => key }),
          }),
    )
    .subscribe({
      next: ({ delivery }) => {
        settled(delivery);
        const item = ledger.at(delivery.stream, delivery.entryId);
        if (item === undefined) return;
        item.acknowledged += 1;
        item.acknowledgedBy = name;
      },
      error: (error: unknown) => {
        ending = { error };
        violated(`${name} ended with ${error}`);
      },
      complete: () => {
        ending = "completed";
      },
    });

  return {
    name,
    valve,
    finish: (task, how) => tasks[task % Math.max(1, tasks.length)]?.(how),
    succeedAlways: () => {
      succeedsAlways = true;
      for (const task of [...tasks]) task("succeed");
    },
    drain: () => {
      isDraining = true;
      until.next();
    },
    die: () => {
      isDead = true;
      running.unsubscribe();
      for (const item of aboutToStart) item.missed += 1;
      aboutToStart.clear();
    },
    isAlive: () => ending === undefined && !isDead,
    isDraining: () => isDraining,
    ending: () => ending,
  };
}
