import { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { type ConnectionOptions, connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Certificates, makeCertificates, tlsOf } from "./certificates.ts";
import { startRedis } from "./redisServer.ts";

let certificates: Certificates;

beforeAll(async () => {
  certificates = await makeCertificates();
});
afterAll(() => certificates.remove());

async function start(settings: Parameters<typeof tlsOf>[1] = {}) {
  const server = await startRedis([], "", tlsOf(certificates, settings));
  onTestFinished(server.stop);
  return server;
}

/** What a server answers to PING; rejects as the handshake does. */
function ping(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", ...options });
  onTestFinished(() => {
    socket.destroy();
  });
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("data", (reply) => resolve(`${reply}`));
    socket.write("PING\r\n");
  });
}

describe("makeCertificates", () => {
  it("makes a server that a client with the same authority trusts, by address and by name", async () => {
    const { port, uri, client } = await start();
    const ca = certificates.ca.cert;

    expect(await ping(port, { ca })).toBe("+PONG\r\n");
    expect(await ping(port, { ca, servername: "localhost" })).toBe("+PONG\r\n");
    expect(await client.ping()).toBe("PONG");
    expect(uri).toBe(`rediss://127.0.0.1:${port}`);
  });

  it.each([
    ["wrongHost", "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["expired", "CERT_HAS_EXPIRED"],
    ["stranger", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
  ] as const)("makes a server with %s that clients refuse with %s", async (name, code) => {
    const { port, client } = await start({ certificate: certificates[name] });

    await expect(ping(port, { ca: certificates.ca.cert })).rejects.toMatchObject({ code });
    expect(await client.ping()).toBe("PONG");
  });

  it("makes a server that takes only clients with a certificate of its authority", async () => {
    const { port } = await start({ authClients: true });
    const { ca, client, stranger } = certificates;

    expect(await ping(port, { ca: ca.cert, cert: client.cert, key: client.key })).toBe("+PONG\r\n");
    await expect(ping(port, { ca: ca.cert })).rejects.toThrow(/certificate/);
    await expect(ping(port, { ca: ca.cert, cert: stranger.cert, key: stranger.key })).rejects.toThrow(
      /alert/,
    );
  });

  it("removes its files", async () => {
    const { client, remove } = await makeCertificates();
    expect(new X509Certificate(client.cert).subject).toBe("CN=rxadd client");

    remove();

    expect(existsSync(client.keyFile)).toBe(false);
  });
});
