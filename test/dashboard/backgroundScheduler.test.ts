import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { take, timer } from "rxjs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { backgroundScheduler } from "../../src/dashboard/backgroundScheduler.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const execute = promisify(execFile);

describe("backgroundScheduler", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("does what is due, again and again", () => {
    const seen: number[] = [];
    timer(100, 10, backgroundScheduler)
      .pipe(take(3))
      .subscribe((tick) => seen.push(tick));
    vi.advanceTimersByTime(99);
    expect(seen).toEqual([]);
    vi.advanceTimersByTime(100);
    expect(seen).toEqual([0, 1, 2]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("does nothing more once it is unsubscribed", () => {
    const seen: number[] = [];
    const ticking = timer(10, 10, backgroundScheduler).subscribe((tick) => {
      seen.push(tick);
      ticking.unsubscribe();
    });
    vi.advanceTimersByTime(100);
    expect(seen).toEqual([0]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a dashboard's handler", () => {
  it("lets the program end", async () => {
    const program = `
      import { redisSink } from "rxadd";
      import { dashboardHandler } from "rxadd/dashboard";
      const sink = redisSink({ id: "shop", uri: "redis://localhost:1", stream: "orders" });
      dashboardHandler({ sinks: [sink] });
      console.log("done");`;
    const { stdout } = await execute(process.execPath, ["--input-type=module", "-e", program], {
      cwd: root,
      timeout: 20_000,
    });
    expect(stdout).toBe("done\n");
  });
});
