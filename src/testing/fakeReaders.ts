import {
  defaultIfEmpty,
  defer,
  EMPTY,
  filter,
  map,
  merge,
  NEVER,
  type Observable,
  of,
  type SchedulerLike,
  Subject,
  take,
  takeUntil,
  timer,
} from "rxjs";
import type { FakeServer, openFake } from "../redis/publish/fakeServer.ts";
import type { RawEntry } from "../redis/wire/entryReplies.ts";
import { type FakeLine, known } from "./fakeLine.ts";
import type { MemoryRedis } from "./memoryRedis.ts";

/** A server in memory, and the line to it. */
interface Reached {
  readonly memory: MemoryRedis;
  readonly line: FakeLine;
  readonly scheduler: SchedulerLike;
}

type Opening = FakeServer[typeof openFake];

/** Connections that read from memory: without a group, and as one of a group. */
export function fakeReaders({ memory, line, scheduler }: Reached): Pick<Opening, "reading" | "group"> {
  const { groups, settling, changed$ } = memory;
  const always = { ready$: line.back$, failure$: NEVER, unsubscribe: () => {} };

  /** What a read finds, at once or as soon as there is anything; nothing once its time is over. */
  function wait(
    look: () => readonly RawEntry[],
    blockMs: number,
    interrupted$: Observable<unknown> = NEVER,
  ): Observable<readonly RawEntry[]> {
    const nothing: readonly RawEntry[] = [];
    return line.ask(() =>
      merge(
        defer(() => of(undefined)),
        changed$,
      ).pipe(
        map(() => known(look)),
        filter(({ length }) => length > 0),
        takeUntil(merge(timer(blockMs, scheduler), interrupted$)),
        defaultIfEmpty(nothing),
        take(1),
      ),
    );
  }

  return {
    reading: ({ blockMs }) => ({
      ...always,
      read: (after, count) => wait(() => groups.read(after, count), blockMs),
      standing: (stream) => line.call(() => memory.standing(stream)),
      exists: (stream, entryId) => line.call(() => memory.stands(stream, entryId)),
    }),

    group: (member) => {
      const interrupted$ = new Subject<void>();
      return {
        ...always,
        close$: EMPTY,
        nowMs: () => scheduler.now(),
        create: (stream, start) => line.call(() => groups.create(stream, member.group, start)),
        progress: (stream) => line.call(() => groups.progress(stream, member.group)),
        has: (stream, entryId) => line.call(() => memory.stands(stream, entryId)),
        readNew: (streams, count, blockMs) =>
          wait(() => groups.readNew(streams, member, count, scheduler.now()), blockMs, interrupted$),
        readPending: (which, stream, after, room) =>
          line.call(() => groups.readPending(which, stream, member, after, room, scheduler.now())),
        settle: (key, settlements, keep, token) =>
          line.call(() =>
            memory.changing(() =>
              settling.settle(settlements, token, { key, member, keep, nowMs: scheduler.now() }),
            ),
          ),
        // Nothing is told: marks in a database stay.
        horizon: () => EMPTY,
        processed: (stream, ids) => line.call(() => settling.processed(stream, member.group, ids)),
        leave: (stream) => line.call(() => settling.leave(stream, member)),
        interrupt: () => interrupted$.next(),
      };
    },
  };
}
