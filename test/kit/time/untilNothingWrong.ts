import { setTimeout as delay } from "node:timers/promises";

/** How long servers may take to agree, in ms. */
const patienceMs = 60_000;

/** Looks until nothing is wrong any more; after a minute it fails with what still is. */
export async function untilNothingWrong(look: () => Promise<string | undefined>): Promise<void> {
  const end = performance.now() + patienceMs;
  const lookOrLoading = () => look().catch(loading);
  for (let wrong = await lookOrLoading(); wrong !== undefined; wrong = await lookOrLoading()) {
    if (performance.now() > end) throw new Error(`after ${patienceMs} ms ${wrong}`);
    await delay(50);
  }
}

/** A replica that loads what its master has sent answers nothing else. */
function loading(error: unknown): string {
  if (error instanceof Error && error.message.startsWith("LOADING ")) return error.message;
  throw error;
}
