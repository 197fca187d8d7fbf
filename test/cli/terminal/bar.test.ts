import { closeSync, existsSync, openSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { printable, printableLines } from "../../../src/cli/terminal/printable.ts";
import { type Run, rxadd } from "../../kit/program/cli.ts";
import { rxaddHere } from "../../kit/program/inProcess.ts";
import { emptyRedis } from "../../kit/servers/emptyRedis.ts";

const redis = emptyRedis();

/** Escape, the C1 form of it, delete, and a character that turns the direction of what follows. */
const nasty = "\x1b]0;pwned\x07 \u009b31m \x7f \u202e";
const control = /(?!\n)[\p{Cc}\p{Cf}]/u;

function run(...args: readonly string[]): Run {
  return rxadd(args, "", { REDIS_URI: redis.uri });
}

async function add(entries: number): Promise<void> {
  const pipeline = redis.client.pipeline();
  for (let n = 1; n <= entries; n += 1) pipeline.xadd("s", `${n}-0`, "event", `{"n":${n}}`);
  await pipeline.exec();
}

async function stopped(run: Run): Promise<string> {
  run.child.kill("SIGTERM");
  expect(await run.ended).toBe(0);
  return run.stderr();
}

describe("printable", () => {
  it("leaves no control character, and JSON that says the same", () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: "binary" }), fc.string({ unit: "binary" }), (json, text) => {
        expect(printable(text)).not.toMatch(/[\p{Cc}\p{Cf}]/u);
        expect(printableLines(json)).not.toMatch(control);
        expect(JSON.parse(printableLines(json))).toEqual(JSON.parse(json));
      }),
    );
  });
});

describe("what the command says of what others have written", () => {
  it("holds no control characters: entries that are no JSON, without a group", async () => {
    await redis.client.xadd("s", "*", "event", nasty);
    const reading = rxaddHere(["consume", "--uri", redis.uri, "--stream", "s", "--from", "0-0"]);
    expect(await reading.ended).toBe(2);
    expect(reading.stderr()).toContain("cannot be decoded");
    expect(reading.stderr()).not.toMatch(control);
  });

  it("holds no control characters: dead letters, and names of streams and groups", async () => {
    await redis.client.xadd("s\x1b[2J", "*", "event", nasty);
    const reading = run("consume", "--stream", "s\x1b[2J", "--group", "g\x1b[2J", "--dead-letters", "dead");
    await reading.says("aside");
    expect(await stopped(reading)).not.toMatch(control);
  });

  it("holds no control characters: lines, URIs and flags", async () => {
    const piping = rxaddHere(["pipe", "--uri", redis.uri, "--stream", "s", "--id", "i"], `${nasty}\n`);
    expect(await piping.ended).toBe(2);
    expect(piping.stderr()).toContain("line 1: found no JSON");
    const positioned = rxaddHere(
      ["pipe", "--uri", redis.uri, "--stream", "s", "--id", "i"],
      `${JSON.stringify({ position: nasty })}\n`,
    );
    expect(await positioned.ended).toBe(0);
    expect(positioned.stderr()).toContain("up to position \\u001b]0;pwned");
    const flag = rxaddHere(["pipe", `--${nasty}`]);
    expect(await flag.ended).toBe(2);
    for (const { stderr } of [piping, positioned, flag]) expect(stderr()).not.toMatch(control);
  });

  it("goes into a pipe byte for byte", async () => {
    const event = '{"a":"\u009b \x7f \u202e"}';
    await redis.client.xadd("s", "1-0", "event", event);
    const reading = run("consume", "--stream", "s", "--from", "0-0");
    await reading.says("\n");
    await reading.says("}}\n");
    await stopped(reading);
    expect(reading.stdout()).toBe(`{"id":"1-0","event":${event}}\n`);
  });
});

describe.skipIf(!existsSync("/dev/full"))("a full disk under stdout", () => {
  function ontoFull(args: readonly string[], input = ""): Run {
    const full = openSync("/dev/full", "w");
    onTestFinished(() => closeSync(full));
    return rxadd(args, input, { REDIS_URI: redis.uri }, full);
  }

  it.each([
    "consume --stream s --from 0-0",
    "consume --stream s --group g",
    "streams length --stream s",
    "streams info --stream s --json",
    "schema",
    "--help",
  ])("ends %s with one message and exit code 2", async (command) => {
    await add(1000);
    const writing = ontoFull(command.split(" "));
    expect(await writing.ended).toBe(2);
    expect(writing.stderr()).toContain("standard output: found ENOSPC");
    expect(writing.stderr()).not.toContain("    at ");
    expect(writing.stderr().split("\n").length).toBeLessThan(6);
  });

  it("ends pipe once what it has read is published", async () => {
    const piping = ontoFull(
      ["pipe", "--uri", redis.uri, "--stream", "s", "--id", "i"],
      Array.from({ length: 3000 }, (_, n) => `{"n":${n}}\n`).join(""),
    );
    expect(await piping.ended).toBe(2);
    expect(piping.stderr()).toContain("standard output: found ENOSPC");
    expect(piping.stderr()).toContain("stopped, as standard output takes no more");
    expect(piping.stderr()).not.toContain("rxadd: done");
  });
});

describe("a reader that goes", () => {
  it.each([
    ["of a group", ["--group", "g"]],
    ["without a group", ["--from", "0-0"]],
  ])("ends consume %s quietly, without a word for each entry that it cannot print", async (_case, args) => {
    await add(3000);
    const reading = run("consume", "--stream", "s", ...args);
    await reading.says('"n":1}');
    reading.child.stdout?.destroy();
    await redis.client.xadd("s", "*", "event", "{}");
    expect(await reading.ended).toBe(0);
    expect(reading.stderr()).not.toMatch(/failed|finishing|EPIPE/);
  });

  it("ends schema quietly", async () => {
    const printing = run("schema");
    printing.child.stdout?.destroy();
    expect(await printing.ended).toBe(0);
    expect(printing.stderr()).toBe("");
  });
});
