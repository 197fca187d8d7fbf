import { vi } from "vitest";
import { patienceMs } from "./patience.ts";

/** Looks until it is so, and answers with what was found. */
export function waitUntil<T>(look: () => T | Promise<T>, interval = 50) {
  return vi.waitUntil(look, { timeout: patienceMs, interval });
}
