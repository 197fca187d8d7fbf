import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** What a process that publishes events without positions is told. */
export interface WriterOrder {
  readonly uri: string;
  readonly stream: string;
  /** Its name, in each of its events. */
  readonly by: string;
  /** How many it has to say. */
  readonly events: number;
  readonly publish: "script" | "multi";
  /** Undefined: as it comes. */
  readonly writers?: "one" | "many";
}

/** What it says of itself. */
export interface WriterNews {
  readonly said: number;
  readonly safe: number;
  /** Acknowledged, and lost by Redis, as it was told. */
  readonly lost: number;
  /** How its sink has ended. */
  readonly end?: string;
}

export interface WriterProcess {
  readonly news: () => WriterNews;
  /** Resolves when what it says of itself is as asked. */
  readonly until: (asked: (news: WriterNews) => boolean) => Promise<void>;
  /** Resolves with its last words. */
  readonly ended: Promise<WriterNews>;
  /** Ends it at once, as by `kill -9`; resolves when it has ended. */
  readonly kill: () => Promise<void>;
}

/** Starts one. */
export function startWriter(order: WriterOrder): WriterProcess {
  const child: ChildProcess = fork(new URL("./writerProgram.ts", import.meta.url), [JSON.stringify(order)], {
    execArgv: ["--import", "tsx"],
  });
  let news: WriterNews = { said: 0, safe: 0, lost: 0 };
  let heard = () => {};
  child.on("message", (now: WriterNews) => {
    news = now.end === undefined && news.end !== undefined ? { ...now, end: news.end } : now;
    heard();
  });
  const ended = once(child, "exit").then(() => {
    heard();
    return news;
  });
  return {
    news: () => news,
    until: (asked) =>
      new Promise((resolve, reject) => {
        heard = () => {
          if (asked(news)) resolve();
          else if (child.exitCode !== null) reject(new Error(`${order.by} has ended: ${news.end}`));
        };
        heard();
      }),
    ended,
    kill: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await ended;
    },
  };
}
