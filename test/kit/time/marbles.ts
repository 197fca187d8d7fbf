import { setImmediate as nextTurn } from "node:timers/promises";
import { type RunHelpers, TestScheduler } from "rxjs/testing";
import { expect } from "vitest";

export interface MarbleHelpers extends RunHelpers {
  /**
   * Expects that after the end (`!`) of `subscription` no timer and no message of a cold source is left.
   * Comes after `expectObservable`; a hot source must have nothing more to say by then.
   */
  readonly expectNothingPending: (subscription: string) => void;
}

/** The body of a test in virtual time; `asapScheduler` and `asyncScheduler` are virtual as well. */
export function marbles(test: (helpers: MarbleHelpers) => void): () => Promise<void> {
  return async () => {
    // What another test has left to be done at once would be awaited in virtual time, where nobody does it.
    await nextTurn();
    const scheduler = new TestScheduler((actual, expected) => expect(actual).toEqual(expected));
    scheduler.run((helpers) => {
      const expectNothingPending = (subscription: string) => {
        const { unsubscribedFrame } = TestScheduler.parseMarblesAsSubscriptions(subscription, true);
        scheduler.schedule(() => {
          expect(scheduler.actions.length, "actions still pending").toBe(0);
          // After everything else that happens at the end.
        }, unsubscribedFrame + 0.5);
      };
      test({ ...helpers, expectNothingPending });
    });
  };
}
