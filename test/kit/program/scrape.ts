import type { Registry } from "prom-client";
import { serveMetrics } from "../../../src/metrics/index.ts";

/** Every sample of a registry as Prometheus scrapes it, by name and labels. */
export async function scrape(registry: Registry): Promise<ReadonlyMap<string, number>> {
  const text = await new Promise<string>((resolve, reject) => {
    const serving = serveMetrics({ registry, port: 0 }).subscribe({
      next: ({ url }) => {
        fetch(url)
          .then((response) => response.text())
          .then(resolve, reject)
          .finally(() => serving.unsubscribe());
      },
      error: reject,
    });
  });
  return new Map(
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => {
        const end = line.lastIndexOf(" ");
        return [line.slice(0, end), Number(line.slice(end + 1))];
      }),
  );
}
