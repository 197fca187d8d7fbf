import { lastValueFrom, type Observable } from "rxjs";
import { isRxaddError, type RxaddError } from "../../../src/index.ts";

/** The RxaddError with which an Observable ends. */
export async function failureOf(result$: Observable<unknown>): Promise<RxaddError> {
  const error = await lastValueFrom(result$).then(
    () => new Error("it did not fail"),
    (error: unknown) => error,
  );
  if (!isRxaddError(error)) throw error;
  return error;
}
