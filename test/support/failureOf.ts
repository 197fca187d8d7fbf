import { lastValueFrom, type Observable } from "rxjs";
import { isSinkError, type SinkError } from "../../src/index.ts";

/** The SinkError with which an Observable ends. */
export async function failureOf(result$: Observable<unknown>): Promise<SinkError> {
  const error = await lastValueFrom(result$).then(
    () => new Error("it did not fail"),
    (error: unknown) => error,
  );
  if (!isSinkError(error)) throw error;
  return error;
}
