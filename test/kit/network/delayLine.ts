/** What waits for its time. */
export interface DelayLine {
  /** How much waits, in bytes. */
  readonly bytes: () => number;
  /** Acts after a delay in ms, and after all that came before; at once where there is none. */
  readonly pass: (bytes: number, delayMs: number, act: () => void) => void;
  /** Forgets what waits. */
  readonly clear: () => void;
}

/** Does things after their delay, in the order in which they came. */
export function delayLine(): DelayLine {
  const waiting: { readonly bytes: number; readonly due: number; readonly act: () => void }[] = [];
  let timer: NodeJS.Timeout | undefined;
  let bytes = 0;

  function next(): void {
    timer = undefined;
    for (let head = waiting[0]; head !== undefined; head = waiting[0]) {
      const restMs = head.due - performance.now();
      if (restMs > 0) {
        timer = setTimeout(next, restMs);
        return;
      }
      waiting.shift();
      bytes -= head.bytes;
      head.act();
    }
  }

  return {
    bytes: () => bytes,
    pass: (size: number, delayMs: number, act: () => void) => {
      if (delayMs === 0 && waiting.length === 0) {
        act();
        return;
      }
      waiting.push({ bytes: size, due: performance.now() + delayMs, act });
      bytes += size;
      timer ??= setTimeout(next, delayMs);
    },
    clear: () => {
      clearTimeout(timer);
      waiting.length = 0;
      bytes = 0;
    },
  };
}
