import { setTimeout as delay } from "node:timers/promises";

/** How long servers may take to agree, in ms. */
const patienceMs = 60_000;

/** Looks until nothing is wrong any more; after a minute it fails with what still is. */
export async function untilNothingWrong(look: () => Promise<string | undefined>): Promise<void> {
  const end = performance.now() + patienceMs;
  for (let wrong = await look(); wrong !== undefined; wrong = await look()) {
    if (performance.now() > end) throw new Error(`after ${patienceMs} ms ${wrong}`);
    await delay(50);
  }
}
