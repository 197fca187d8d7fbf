import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { readEvents } from "../kit/load/tally.ts";
import { rxadd } from "../kit/program/cli.ts";
import { rxaddHere } from "../kit/program/inProcess.ts";
import { makeCertificates, tlsOf } from "../kit/servers/certificates.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";

let redis: RedisServer;
let folder: string;
beforeAll(async () => {
  redis = await startRedis([], "s3cr3t");
  folder = mkdtempSync(join(tmpdir(), "rxadd-pipe-"));
});
afterAll(async () => {
  await redis.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  await redis.client.flushall();
});

function uri(password = "s3cr3t"): string {
  return `redis://:${password}@127.0.0.1:${redis.port}`;
}

function flags(): string[] {
  return ["pipe", "--uri", uri(), "--stream", "orders.events", "--id", "orders-redis"];
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("rxadd pipe", () => {
  it("publishes each line as it is and prints checkpoints as JSON lines", async () => {
    const run = rxadd(flags(), '{"n":1}\n{"n": 2 , "é":"✓"}\n\n{"n":3}');

    expect(await run.ended).toBe(0);
    expect(await readEvents(redis.client, "orders.events")).toEqual([
      '{"n":1}',
      '{"n": 2 , "é":"✓"}',
      '{"n":3}',
    ]);
    const checkpoints = run
      .stdout()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(checkpoints.at(-1)).toMatchObject({ sink: "orders-redis", stream: "orders.events", position: 4 });
    expect(run.stderr()).not.toContain("s3cr3t");
  });

  it("reads the sink from YAML, with the URI from the environment", async () => {
    const config = file(
      "sinks.yaml",
      "sinks:\n  - type: redis\n    config:\n      id: orders-redis\n      uri: ${REDIS_URI}\n      stream: orders.events\n      required: true\n",
    );

    const run = rxaddHere(["pipe", "--config", config], '{"n":1}\n', { REDIS_URI: uri() });

    expect(await run.ended).toBe(0);
    expect(await redis.client.xlen("orders.events")).toBe(1);
  });

  it("fills a stream template from each line, and sets aside what has no stream, with YAML", async () => {
    const config = file(
      "template.yaml",
      "sinks:\n  - type: redis\n    config:\n      id: orders-redis\n      uri: ${REDIS_URI}\n      stream: cdc.${source.table}\n      dead_letters: { stream: cdc.dead }\n",
    );
    const lines = '{"source":{"table":"orders"},"n":1}\n{"n":2}\n{"source":{"table":"items"},"n":3}\n';
    const run = rxaddHere(["pipe", "--config", config], lines, { REDIS_URI: uri() });

    expect(await run.ended).toBe(0);
    expect(await readEvents(redis.client, "cdc.orders")).toEqual(['{"source":{"table":"orders"},"n":1}']);
    expect(await readEvents(redis.client, "cdc.items")).toHaveLength(1);
    expect(await readEvents(redis.client, "cdc.dead")).toEqual(['{"n":2}']);
    expect(run.stderr()).toContain("set aside at position 2");
    expect(run.stderr()).toContain("done: 2 events published, 1 set aside, up to position 3");
  });

  it("reaches a server over TLS as YAML says, and trusts no other with exit code 3", async () => {
    const certificates = await makeCertificates();
    const server = await startRedis([], "", tlsOf(certificates));
    onTestFinished(server.stop);
    onTestFinished(certificates.remove);
    const sink = `sinks:\n  - type: redis\n    config:\n      id: a\n      uri: ${server.uri}\n      stream: s\n`;
    const trusting = file("tls.yaml", `${sink}      tls: { ca: "${certificates.ca.certFile}" }\n`);

    const run = rxaddHere(["pipe", "--config", trusting], '{"n":1}\n');
    expect(await run.ended).toBe(0);
    expect(await server.client.xlen("s")).toBe(1);

    const refusing = rxaddHere(["pipe", "--config", file("no-tls.yaml", sink)], '{"n":1}\n');
    expect(await refusing.ended).toBe(3);
    expect(refusing.stderr()).toContain("TLS failed with");
  });

  it("goes on where the stream ends when it is started again on the same input", async () => {
    const line = (n: number) => JSON.stringify({ n, position: `token-${n}` });
    const lines = Array.from({ length: 20 }, (_, index) => line(index + 1));

    await rxaddHere(flags(), lines.slice(0, 8).join("\n")).ended;
    const run = rxaddHere([...flags(), "--input", file("events.ndjson", lines.join("\n"))]);

    expect(await run.ended).toBe(0);
    expect(await readEvents(redis.client, "orders.events")).toEqual(lines);
  });

  it("begins without its producer state only when it is told to", async () => {
    await rxaddHere(flags(), '{"n":1}\n').ended;
    await redis.client.del("{orders.events}:rxadd:orders-redis");

    const refused = rxaddHere(flags(), '{"n":1}\n{"n":2}\n');
    expect(await refused.ended).toBe(3);
    const adopting = rxaddHere([...flags(), "--adopt"], '{"n":1}\n{"n":2}\n');
    expect(await adopting.ended).toBe(0);
    expect(await redis.client.xlen("orders.events")).toBe(3);
  });

  it("ends at once when it is stopped before Redis could be reached", async () => {
    const run = rxadd(["pipe", "--uri", "redis://127.0.0.1:1", "--stream", "s", "--id", "t"], '{"n":1}\n');
    await run.says("attempt 2 failed");
    run.child.kill("SIGTERM");
    expect(await run.ended).toBe(0);
    expect(run.stderr()).toContain("done, no events");
  });

  it("counts what it has published, and what was there already", async () => {
    const lines = ["1", "2", "3"].map((n) => `{"n":${n}}\n`);
    const first = rxaddHere(flags(), lines.slice(0, 2).join(""));
    expect(await first.ended).toBe(0);
    expect(first.stderr()).toContain("done: 2 events published, up to position 2\n");

    const second = rxaddHere(flags(), lines.join(""));
    expect(await second.ended).toBe(0);
    expect(second.stderr()).toContain(
      "done: 1 event published, 2 left out, which were in the stream already, up to position 3\n",
    );
    const [{ events, replayed }] = second
      .stdout()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
      .slice(-1);
    expect(events - replayed).toBe(1);
  });

  it("counts what goes back in the order of its positions as what was there already", async () => {
    const run = rxaddHere(flags(), [5, 4, 6].map((position) => `{"position":${position}}\n`).join(""));
    expect(await run.ended).toBe(0);
    expect(run.stderr()).toContain(
      "done: 2 events published, 1 left out, which were in the stream already, up to position 6",
    );
    expect(await redis.client.xlen("orders.events")).toBe(2);
  });

  it("counts all that goes back, however long", async () => {
    const positions = [...Array(1500).keys(), ...Array(1500).keys()];
    const run = rxaddHere(flags(), positions.map((position) => `{"position":${position}}\n`).join(""));
    expect(await run.ended).toBe(0);
    expect(run.stderr()).toContain(
      "done: 1500 events published, 1500 left out, which were in the stream already",
    );
    expect(await redis.client.xlen("orders.events")).toBe(1500);
  });

  it("refuses another input under an id of old, which is shorter than what it had, with exit code 2", async () => {
    await rxaddHere(flags(), '{"id":"monday/1"}\n{"id":"monday/2"}\n{"id":"monday/3"}\n').ended;
    const run = rxaddHere(flags(), '{"id":"tuesday/1"}\n{"id":"tuesday/2"}\n');
    expect(await run.ended).toBe(2);
    expect(run.stderr()).toContain("found its end at line 2, expected line 3");
    expect(run.stderr()).toContain("Give it an id of its own");
    expect(await redis.client.xlen("orders.events")).toBe(3);
  });

  it("says which line is bad with exit code 2, and has published the lines before it", async () => {
    const run = rxaddHere(flags(), '{"n":1}\n{"n":2}\nnot json\n{"n":4}\n');

    expect(await run.ended).toBe(2);
    expect(run.stderr()).toContain("standard input, line 3: found no JSON, expected a JSON object");
    expect(await redis.client.xlen("orders.events")).toBe(2);
  });

  it("lists all that is wrong with a YAML file, with exit code 2", async () => {
    const config = file(
      "bad.yaml",
      "sinks:\n  - type: redis\n    config:\n      id: orders-redis\n      uri: http://u:s3cr3t@h\n      steam: orders.events\n",
    );

    const run = rxaddHere(["pipe", "--config", config], "");

    expect(await run.ended).toBe(2);
    expect(run.stderr()).toContain(
      "bad.yaml:5:12: sinks[0].config.uri: found http://u:***@h, expected a URI",
    );
    expect(run.stderr()).toContain("sinks[0].config.steam: no such setting; did you mean stream?");
    expect(run.stderr()).toContain("sinks[0].config.stream: found nothing, expected a text");
    expect(run.stderr()).not.toContain("    at ");
  });

  it("says which flag is missing, with exit code 2", async () => {
    const run = rxaddHere(["pipe", "--id", "x"], "", { REDIS_URI: uri() });

    expect(await run.ended).toBe(2);
    expect(run.stderr()).toContain("--stream: found nothing");
  });

  it("takes the URI from the environment, where no other user of the machine reads the password", async () => {
    const flags = ["pipe", "--id", "x", "--stream", "s"];
    expect(await rxaddHere(flags, '{"n":1}\n', { REDIS_URI: uri() }).ended).toBe(0);
    expect(
      await rxaddHere([...flags, "--uri", "${OTHER}"], '{"n":1}\n{"n":2}\n', { OTHER: uri() }).ended,
    ).toBe(0);
    expect(await redis.client.xlen("s")).toBe(2);

    const run = rxaddHere(flags, "", { REDIS_URI: undefined });
    expect(await run.ended).toBe(2);
    expect(run.stderr()).toContain(
      "--uri: the environment variable REDIS_URI is not set; give --uri, set REDIS_URI, or use --config FILE",
    );
  });

  it.each(["", "80a", "65536", "1e3", " 80"])("takes no port %j", async (port) => {
    const run = rxaddHere([...flags(), "--metrics-port", port], "");
    expect(await run.ended).toBe(2);
    expect(run.stderr()).toContain("expected a port from 0 to 65535");
  });

  describe("takes nothing from a writer that runs", () => {
    it.each([
      ["an input that is not there", () => ["--input", join(folder, "no-such.ndjson")], "ENOENT"],
      ["a folder as the input", () => ["--input", folder], "found a folder, expected a file"],
      ["a port that is taken", (port: number) => ["--metrics-port", `${port}`], "EADDRINUSE"],
      ["a port of the page that is taken", (port: number) => ["--dashboard-port", `${port}`], "EADDRINUSE"],
    ])("when it is given %s", async (_case, more, found) => {
      const input = new PassThrough();
      const writer = rxadd([...flags(), "--metrics-port", "0"], input);
      await writer.says("publishing");
      await writer.says("metrics at");
      const [, port] = /127\.0\.0\.1:(\d+)\/metrics/.exec(writer.stderr()) ?? [];

      const other = rxadd([...flags(), ...more(Number(port))], '{"n":1}\n');
      expect(await other.ended).toBe(2);
      expect(other.stderr()).toContain(found);

      input.end('{"n":1}\n');
      expect(await writer.ended).toBe(0);
      expect(await redis.client.hget("{orders.events}:rxadd:orders-redis", "epoch")).toBe("1");
    });
  });

  it("ends with exit code 2 when the host is unknown", async () => {
    const run = rxaddHere(
      ["pipe", "--uri", "redis://no-such-host.invalid", "--stream", "s", "--id", "t"],
      '{"n":1}\n',
    );

    expect(await run.ended).toBe(2);
    expect(run.stderr()).toContain("the host name is not known");
  });

  it("ends with exit code 3 when the password is wrong, at once and without printing it", async () => {
    // Input that never ends: only the refusal can end it.
    const run = rxaddHere(["pipe", "--uri", uri("hunter2"), "--stream", "s", "--id", "t"], new PassThrough());

    expect(await run.ended).toBe(3);
    expect(run.stderr()).toContain("WRONGPASS");
    expect(run.stderr()).not.toContain("trying again");
    expect(run.stdout() + run.stderr()).not.toContain("hunter2");
  });

  it("logs no password of a URI that stands where the stream should", async () => {
    const run = rxaddHere(
      ["pipe", "--uri", uri(), "--stream", "redis://app:hunter2@localhost", "--id", "t"],
      '{"n":1}\n',
    );

    expect(await run.ended).toBe(0);
    expect(run.stderr()).toContain("redis://app:***@localhost: publishing");
    expect(run.stderr()).not.toContain("hunter2");
  });

  it("ends with exit code 3 when a password is missing", async () => {
    const run = rxaddHere(
      ["pipe", "--uri", `redis://127.0.0.1:${redis.port}`, "--stream", "s", "--id", "t"],
      '{"n":1}\n',
    );

    expect(await run.ended).toBe(3);
    expect(run.stderr()).toContain("NOAUTH");
  });

  it("ends with exit code 3 when the key is not a stream, and leaves it as it is", async () => {
    await redis.client.set("orders.events", "text");

    const run = rxaddHere(flags(), '{"n":1}\n');

    expect(await run.ended).toBe(3);
    expect(run.stderr()).toContain("WRONGTYPE orders.events holds a string");
    expect(await redis.client.get("orders.events")).toBe("text");
  });

  it.each(["SIGINT", "SIGTERM"] as const)(
    "publishes what it has read when it gets %s, then exits with 0",
    async (signal) => {
      const input = new PassThrough();
      const run = rxadd(flags(), input);
      input.write('{"n":1}\n{"n":2}\n');
      await run.says('"position":2');

      run.child.kill(signal);

      expect(await run.ended).toBe(0);
      expect(run.stderr()).toContain("done: 2 events published");
      expect(await redis.client.xlen("orders.events")).toBe(2);
    },
  );

  it("waits for Redis no longer than closeWithinMs after a signal, and exits with 3", async () => {
    const server = await startRedis();
    const input = new PassThrough();
    const sink = { id: "orders-redis", uri: server.uri, stream: "orders.events", close_within_ms: 200 };
    const config = file("close.yaml", JSON.stringify({ sinks: [{ type: "redis", config: sink }] }));
    const run = rxadd(["pipe", "--config", config], input);
    input.write('{"n":1}\n');
    await run.says('"position":1');
    await server.stop();
    input.write('{"n":2}\n');
    await run.says("trying again");

    run.child.kill("SIGTERM");

    expect(await run.ended).toBe(3);
    expect(run.stderr()).toContain(
      "sink orders-redis: found events that are not known to be safe 200 ms after",
    );
  });

  it("serves metrics and health while it runs", async () => {
    const input = new PassThrough();
    const run = rxadd([...flags(), "--metrics-port", "0"], input);
    input.write('{"n":1}\n');
    await run.says('"position":1');
    const url = /metrics at (\S+)/.exec(run.stderr())?.[1] ?? "";

    const metrics = await (await fetch(url)).text();
    const ready = await fetch(url.replace("/metrics", "/readyz"));

    expect(metrics).toContain('deltaforge_sink_events_total{pipeline="rxadd",sink="orders-redis"} 1');
    expect(ready.status).toBe(200);
    input.end();
    expect(await run.ended).toBe(0);
  });

  it("shows a dashboard while it runs, and its streams among the metrics", async () => {
    const input = new PassThrough();
    const run = rxadd([...flags(), "--metrics-port", "0", "--dashboard-port", "0"], input);
    input.write('{"n":1}\n');
    await run.says('"position":1');
    const page = /dashboard at (\S+)/.exec(run.stderr())?.[1] ?? "";
    const metrics = /metrics at (\S+)/.exec(run.stderr())?.[1] ?? "";

    expect(await (await fetch(page)).text()).toContain("page.js");
    const scraped = async () => (await fetch(metrics)).text();
    await expect
      .poll(scraped)
      .toContain('rxadd_stream_length{pipeline="rxadd",sink="orders-redis",stream="orders.events"} 1');
    input.end();
    expect(await run.ended).toBe(0);
    await expect(fetch(page)).rejects.toThrow();
  });

  it("says that the dashboard's port is taken, and exits with 2", async () => {
    const first = rxadd([...flags(), "--dashboard-port", "0"], new PassThrough());
    await first.says("dashboard at");
    const port = /dashboard at http:\/\/127\.0\.0\.1:(\d+)/.exec(first.stderr())?.[1] ?? "";

    const second = rxadd([...flags(), "--id", "another", "--dashboard-port", port], new PassThrough());

    expect(await second.ended).toBe(2);
    expect(second.stderr()).toContain(`dashboard on 127.0.0.1:${port}: found listen EADDRINUSE`);
    first.child.kill("SIGTERM");
    expect(await first.ended).toBe(0);
  });
});
