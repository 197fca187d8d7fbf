import { messageOf } from "../errors/thrown.ts";

/** Calls an observer of the user's; what it throws stays there. */
export type Guard = (name: string, call: () => void) => void;

/**
 * Makes a guard that tells of each observer, by its name, the first error.
 *
 * @param told - given what to tell; it may tell observers by the same guard
 */
export function guard(told: (message: string) => void): Guard {
  const failed = new Set<string>();
  return (name, call) => {
    try {
      call();
    } catch (error) {
      if (failed.has(name)) return;
      failed.add(name);
      told(`${name} threw: ${messageOf(error)}; it goes on being told, and no more is said of its errors`);
    }
  };
}
