import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import { waitUntil } from "../../kit/time/waitUntil.ts";
import type { OneServer } from "./oneServer.ts";

/** A bed whose server has a clock of its own. */
export interface WithClock extends OneServer {
  /** Resolves when the server shows that time. */
  readonly setClock: (to: { readonly behindHours: number }) => Promise<void>;
}

/** Debian's package libfaketime. */
function findLibrary(): string | undefined {
  const folder = "/usr/lib";
  if (!existsSync(folder)) return undefined;
  return readdirSync(folder)
    .map((platform) => join(folder, platform, "faketime", "libfaketime.so.1"))
    .find((path) => existsSync(path));
}

const library = findLibrary();

/** What a process needs that takes its time from a file. */
function environment(file: string): NodeJS.ProcessEnv {
  return {
    // The library deadlocks under jemalloc, so that glibc's own malloc has to come before.
    LD_PRELOAD: `libc_malloc_debug.so.0:${library}`,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  };
}

function whyNot(): string | undefined {
  if (library === undefined) return "libfaketime is not there";
  try {
    const env = { ...process.env, ...environment("/dev/null") };
    execFileSync("redis-server", ["--version"], { env, timeout: 5000, stdio: "ignore" });
    return undefined;
  } catch {
    return "redis-server does not run with libfaketime";
  }
}

/** Why a server cannot have a clock of its own here; undefined: it can. */
export const noFakeClock: string | undefined = whyNot();

/** Starts a bed whose server takes its time from us. */
export async function withClock(start: () => Promise<OneServer>): Promise<WithClock> {
  const folder = mkdtempSync(join(tmpdir(), "rxadd-clock-"));
  const file = join(folder, "time");
  writeFileSync(file, "+0");
  for (const [name, value] of Object.entries(environment(file))) vi.stubEnv(name, value);
  const bed = await start().finally(() => vi.unstubAllEnvs());
  return {
    ...bed,
    setClock: async ({ behindHours }) => {
      writeFileSync(file, `-${behindHours}h`);
      await waitUntil(async () => {
        const [seconds] = await bed.server.client.time();
        return Math.abs(Date.now() / 1000 - Number(seconds) - behindHours * 3600) < 60;
      });
    },
    stop: async () => {
      await bed.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
