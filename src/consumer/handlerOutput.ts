import { from, type Observable, type ObservableInput } from "rxjs";
import { kindOf } from "../errors/thrown.ts";
import { Effects } from "./effects.ts";

/** What a handler gives: nothing, a value or effects, at once or later; of several values the last counts. */
export type Handled<R> = ObservableInput<R | Effects> | Effects | undefined;

/** What is there at once, or the values to come; throws a TypeError if it is neither. */
export function outputOf<R>(output: Handled<R>): Observable<R | Effects> | Effects | undefined {
  if (output === undefined || output instanceof Effects) return output;
  try {
    return from(output);
  } catch {
    const found = output === null ? "null" : kindOf(output);
    throw new TypeError(`the handler gave ${found}, expected nothing, effects, a Promise or an Observable`);
  }
}
