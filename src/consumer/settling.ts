import { randomUUID } from "node:crypto";
import {
  BehaviorSubject,
  forkJoin,
  ignoreElements,
  type MonoTypeOperatorFunction,
  map,
  Observable,
  type Subscriber,
  tap,
} from "rxjs";
import { batch } from "../../operators/batch.ts";
import { inFlight } from "../../operators/inFlight.ts";
import type { GroupConnection } from "../redis/group/groupConnection.ts";
import { sizeOf } from "../redis/group/settlement.ts";
import { type Asked, SettlingCall } from "./settlingCall.ts";

/** Settles deliveries in the order in which that is asked for. */
export interface Settling {
  readonly ask: (asked: Asked) => void;
  /** Does what is asked for while it is subscribed to; errors when Redis refuses for good. Never emits. */
  readonly run$: Observable<never>;
  /** Nothing is held any more: what is asked for all the same, or has no answer yet, is told as gone. */
  readonly end: () => void;
}

/** Most bytes of one call: it is built as a whole, and Redis does nothing else meanwhile. */
const maxBytes = 8 * 1024 * 1024;

/** Sends what is asked for while one call is in flight with the next one; again, with backoff, after a failure. */
export function settling(
  connection: GroupConnection,
  resend: MonoTypeOperatorFunction<readonly SettlingCall[]>,
): Settling {
  // Subscribed to once: a Subject would make a closure for each delivery.
  let asking: Subscriber<Asked> | undefined;
  const asked$ = new Observable<Asked>((subscriber) => {
    asking = subscriber;
  });
  const room = new BehaviorSubject(true);
  const run = randomUUID();
  let tokens = 0;
  let hasEnded = false;
  // What has yet to get into a call, and what is in one.
  let waiting: Asked[] = [];
  const sent = new Set<readonly SettlingCall[]>();

  function newToken(): string {
    tokens += 1;
    return `${run}:${tokens}`;
  }

  /** One for each stream. */
  function callsFor(asked: readonly Asked[]): SettlingCall[] {
    const streams = [...new Set(asked.map(({ stream }) => stream))];
    return streams.map((name) => {
      const own = streams.length === 1 ? asked : asked.filter(({ stream }) => stream === name);
      return new SettlingCall(name, own, newToken);
    });
  }

  return {
    ask: (asked) => {
      if (hasEnded) {
        asked.done("gone");
        return;
      }
      waiting.push(asked);
      asking?.next(asked);
    },
    end: () => {
      hasEnded = true;
      const unsettled = [...[...sent].flat().flatMap(({ asked }) => asked), ...waiting];
      sent.clear();
      waiting = [];
      for (const one of unsettled) one.done("gone");
    },
    run$: asked$.pipe(
      batch<Asked>({ maxItems: 1000, maxBytes, sizeOf, room }),
      map((asked) => {
        // A new one: in one that lives long, what is settled would stay alive for long.
        waiting = waiting.slice(asked.length);
        const calls = callsFor(asked);
        sent.add(calls);
        return calls;
      }),
      inFlight(
        (calls: readonly SettlingCall[]) =>
          forkJoin(calls.map((call) => call.send(connection))).pipe(map(() => calls)),
        { window: 1, room, resend },
      ),
      tap((calls) => sent.delete(calls)),
      ignoreElements(),
    ),
  };
}
