import { execFileSync } from "node:child_process";
import { type Browser, chromium } from "playwright-core";

function pathOf(program: string): string | undefined {
  try {
    return execFileSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

/** A Chromium of this machine; undefined: there is none. */
export const chromiumPath = ["chromium", "chromium-browser", "google-chrome"]
  .map(pathOf)
  .find((path) => path !== undefined);

/** Starts it without a window, and without a word to the internet. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath ?? "chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
