import type { Redis } from "ioredis";
import type { RedisServer } from "../../test/kit/servers/redisServer.ts";

/** What somebody who watches can do to the pipeline. */
export const actions = ["stopRedis", "startRedis", "killWriter", "fillMemory", "freeMemory"] as const;
export type Action = (typeof actions)[number];

/** Does it, and says what it was. Of a Redis that is not the demo's own nothing is stopped, nor filled. */
export interface Troubles {
  readonly canTouchRedis: boolean;
  readonly isRedisUp: () => boolean;
  readonly isMemoryFull: () => boolean;
  readonly perform: (action: Action) => Promise<string>;
  /** Ends all trouble. */
  readonly mend: () => Promise<void>;
}

export function troubles(
  own: RedisServer | undefined,
  redis: Redis,
  killWriter: () => Promise<void>,
): Troubles {
  let isFull = false;

  async function setMemory(bytes: number): Promise<void> {
    await redis.config("SET", "maxmemory", `${bytes}`);
    isFull = bytes > 0;
  }

  async function usedMemory(): Promise<number> {
    return Number(/^used_memory:(\d+)/m.exec(await redis.info("memory"))?.[1] ?? 0);
  }

  async function perform(action: Action): Promise<string> {
    if (action === "killWriter") {
      await killWriter();
      return "The writer was killed with SIGKILL, in the middle of whatever it did. A new one starts in a moment, and asks Redis where to go on.";
    }
    if (own === undefined) return "This Redis is not the demo's own: it is left alone.";
    switch (action) {
      case "stopRedis":
        await own.signal("SIGTERM");
        return "Redis was stopped. The writer tries again and again; changes wait in its memory, then in PostgreSQL.";
      case "startRedis":
        await own.start();
        // It begins without a limit.
        isFull = false;
        return "Redis was started again.";
      case "fillMemory":
        await setMemory(await usedMemory());
        return "Redis has no memory left, and refuses what would need more. The writer tries again; changes wait.";
      case "freeMemory":
        await setMemory(0);
        return "Redis has memory again.";
    }
  }

  return {
    canTouchRedis: own !== undefined,
    isRedisUp: () => own?.isRunning() ?? true,
    isMemoryFull: () => isFull,
    perform,
    mend: async () => {
      if (own !== undefined && !own.isRunning()) await perform("startRedis");
      if (isFull) await perform("freeMemory");
    },
  };
}
