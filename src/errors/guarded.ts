import { reasonOf } from "./reasonOf.ts";

/**
 * Calls what the user gave to be told something. What it throws, or rejects with, ends nothing: the process warns of it,
 * once, and it is told what comes next all the same.
 *
 * @param name - what the user calls it, such as `status`
 */
export function guarded<A>(name: string, tell: ((told: A) => unknown) | undefined): (told: A) => void {
  if (tell === undefined) return () => {};
  let hasWarned = false;

  function warn(error: unknown): void {
    if (hasWarned) return;
    hasWarned = true;
    process.emitWarning(`${name} threw, and is told on: ${reasonOf(error)}`, "RxaddWarning");
  }

  return (told) => {
    try {
      const given = tell(told);
      if (given instanceof Promise) given.catch(warn);
    } catch (error) {
      warn(error);
    }
  };
}
