import { filter, firstValueFrom, ReplaySubject } from "rxjs";
import type { ConsumerStatus } from "../../../src/consumer.ts";

/** Told what a consumer is doing; remembers it. */
export function watched() {
  const status = new ReplaySubject<ConsumerStatus>();
  const first = <S extends ConsumerStatus["state"]>(state: S) =>
    firstValueFrom(
      status.pipe(
        filter((now): now is Extract<ConsumerStatus, { readonly state: S }> => now.state === state),
      ),
    );
  return { status, first };
}
