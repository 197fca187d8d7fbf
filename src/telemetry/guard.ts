import { messageOf } from "../errors/thrown.ts";

/** Calls an observer of the user's; what it throws, or rejects with, stays there. */
export type Guard = (name: string, call: () => unknown) => void;

/**
 * Makes a guard that tells of each observer, by its name, the first error.
 *
 * @param told - given what to tell; it may tell observers by the same guard
 */
export function guard(told: (message: string) => void): Guard {
  const failed = new Set<string>();

  function tell(name: string, error: unknown): void {
    if (failed.has(name)) return;
    failed.add(name);
    told(`${name} threw: ${messageOf(error)}; it goes on being told, and no more is said of its errors`);
  }

  return (name, call) => {
    try {
      const given = call();
      // Else it would end the process.
      if (given instanceof Promise) given.catch((error) => tell(name, error));
    } catch (error) {
      tell(name, error);
    }
  };
}
