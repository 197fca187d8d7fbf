import type { Observer, Unsubscribable } from "rxjs";
import { type Guard, guard } from "./guard.ts";

/** One, or several that know nothing of each other. */
export type OneOrMore<T> = T | readonly T[];

/** Whom the options of a sink or of a consumer name. */
export interface GivenObservers<S, O> {
  readonly status?: OneOrMore<Pick<Observer<S>, "next">>;
  readonly metrics?: O;
  readonly observers?: OneOrMore<O>;
}

/** Who is told, by the name that a warning has for it. */
export interface Named<O> {
  readonly name: string;
  readonly observer: O;
}

/** All that are told of one piece of work. What one of them throws ends nothing, and keeps nothing from the others. */
export class Observers<O extends object> {
  readonly guarded: Guard;
  readonly #all: Set<Named<O>>;

  /**
   * @param who - whom they watch
   * @param warned - given, for each of them, the first that it threw
   */
  constructor(who: string, all: readonly Named<O>[], warned: (message: string) => void) {
    this.#all = new Set(all);
    this.guarded = guard((message) => {
      // Whoever has failed may be the one who hears of the status.
      process.emitWarning(`${who}: ${message}`, "RxaddWarning");
      warned(message);
    });
  }

  add(one: Named<O>): Unsubscribable {
    this.#all.add(one);
    return { unsubscribe: () => this.#all.delete(one) };
  }

  /** Whether one of them wants to hear of this. */
  want(what: keyof O): boolean {
    return [...this.#all].some(({ observer }) => observer[what] !== undefined);
  }

  /** Tells those that want to hear of it. */
  tell(what: keyof O, call: (observer: O) => unknown): void {
    for (const { name, observer } of this.#all)
      if (observer[what] !== undefined) this.guarded(name, () => call(observer));
  }
}

/** All whom the options name. */
export function observersIn<S, O>({
  status,
  metrics,
  observers,
}: GivenObservers<S, O>): readonly Named<O | { readonly status: (now: S) => unknown }>[] {
  const ofStatus = named("status", status).map(({ name, observer }) => ({
    name,
    observer: { status: (now: S) => observer.next(now) },
  }));
  return [...ofStatus, ...named("metrics", metrics), ...named("observers", observers)];
}

function named<T>(name: string, given: OneOrMore<T> | undefined): readonly Named<T>[] {
  if (given === undefined || given === null) return [];
  return isList(given)
    ? given.map((observer, index) => ({ name: `${name}[${index}]`, observer }))
    : [{ name, observer: given }];
}

/** `Array.isArray` takes no list for one that is read only. */
const isList: <T>(given: OneOrMore<T>) => given is readonly T[] = Array.isArray;
