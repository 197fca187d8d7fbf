import { bufferCount, firstValueFrom, lastValueFrom, map, NEVER, Observable, range } from "rxjs";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type RxaddError, redisSink, type SinkStatus, type TlsOptions } from "../../src/index.ts";
import { type Certificate, type Certificates, makeCertificates, tlsOf } from "../kit/servers/certificates.ts";
import { startRedis } from "../kit/servers/redisServer.ts";

let certificates: Certificates;
beforeAll(async () => {
  certificates = await makeCertificates();
});
afterAll(() => certificates.remove());

async function startTls(certificate?: Certificate, authClients = false) {
  const server = await startRedis(
    [],
    "",
    tlsOf(certificates, { authClients, ...(certificate && { certificate }) }),
  );
  onTestFinished(server.stop);
  return server;
}

/** Publishes three events; the last checkpoint's position, and the retries on the way. */
async function publish(uri: string, tls?: TlsOptions) {
  const retries: SinkStatus[] = [];
  const status = { next: (said: SinkStatus) => said.state === "retrying" && retries.push(said) };
  const events$ = range(1, 3).pipe(map((position) => ({ position })));
  const sink = redisSink<{ position: number }>({ id: "a", uri, stream: "orders.events", tls, status });
  const { position } = await lastValueFrom(events$.pipe(sink));
  return { position, retries: retries.length };
}

const done = { position: 3, retries: 0 };

describe("redisSink over TLS", () => {
  it("publishes to a server whose authority is given as a file", async () => {
    const { uri } = await startTls();
    expect(uri).toMatch(/^rediss:/);

    expect(await publish(uri, { ca: certificates.ca.certFile })).toEqual(done);
  });

  it("takes the text of a certificate as well as its file, and tls where the URI says redis", async () => {
    const { port } = await startTls();

    expect(await publish(`redis://127.0.0.1:${port}`, { ca: certificates.ca.cert })).toEqual(done);
  });

  it.each([
    ["an authority that nobody vouches for", "server", false],
    ["a certificate for another host", "wrongHost", true],
    ["a certificate that has expired", "expired", true],
    ["a certificate of another authority", "stranger", true],
  ] as const)("ends at once at %s", async (_what, name, isKnown) => {
    const { uri } = await startTls(certificates[name]);

    const failure = publish(uri, isKnown ? { ca: certificates.ca.certFile } : undefined);

    await expect(failure).rejects.toMatchObject({ _tag: "TlsRejected", kind: "permanent" });
  });

  it("takes the name that the certificate has from serverName", async () => {
    const { uri } = await startTls(certificates.wrongHost);

    expect(await publish(uri, { ca: certificates.ca.cert, serverName: "redis.example" })).toEqual(done);
  });

  it("publishes to anybody only when it is told so in so many words", async () => {
    const { uri } = await startTls(certificates.expired);

    expect(await publish(uri, { acceptAnyCertificate: true })).toEqual(done);
  });

  it("shows its own certificate to a server that asks for one", async () => {
    const { uri } = await startTls(undefined, true);
    const { ca, client } = certificates;

    expect(await publish(uri, { ca: ca.cert, cert: client.certFile, key: client.keyFile })).toEqual(done);
  });

  it.each([
    ["no certificate", () => ({})],
    [
      "a certificate of another authority",
      () => ({ cert: certificates.stranger.cert, key: certificates.stranger.key }),
    ],
  ])("ends at once when the server asks for a certificate and gets %s", async (_what, own) => {
    const { uri } = await startTls(undefined, true);

    const failure = publish(uri, { ca: certificates.ca.cert, ...own() });

    await expect(failure).rejects.toMatchObject({ _tag: "TlsRejected" });
  });

  it("goes on trying, and says so, while a server is silent, as one that does not speak TLS", async () => {
    const server = await startRedis();
    onTestFinished(server.stop);
    const uri = server.uri.replace("redis:", "rediss:");
    const causes = new Observable<RxaddError>((subscriber) =>
      NEVER.pipe(
        redisSink({
          ...{ id: "a", uri, stream: "orders.events", connectTimeoutMs: 100 },
          status: { next: (status) => status.state === "retrying" && subscriber.next(status.cause) },
        }),
      ).subscribe(),
    );

    const [first, second] = await firstValueFrom(causes.pipe(bufferCount(2)));

    expect(first).toMatchObject({ kind: "unknown", message: expect.stringContaining("ETIMEDOUT") });
    expect(second?._tag).toBe(first?._tag);
  });

  it("says which file it cannot read, and that a key belongs to a certificate", async () => {
    await expect(publish("rediss://127.0.0.1:1", { ca: "/nowhere/ca.crt" })).rejects.toMatchObject({
      _tag: "ConfigurationInvalid",
      message: expect.stringContaining(
        "tls.ca: found neither a PEM text, with its line BEGIN, nor a file that can be read (ENOENT)",
      ),
    });
    await expect(
      publish("rediss://127.0.0.1:1", { key: "-----BEGIN PRIVATE KEY-----" }),
    ).rejects.toMatchObject({
      _tag: "ConfigurationInvalid",
      message: "tls: found key without cert, expected both or none",
    });
  });
});
