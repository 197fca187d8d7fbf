import { startProxy } from "../kit/network/tcpProxy.ts";
import { makeCertificates, tlsOf } from "../kit/servers/certificates.ts";
import { startRedis } from "../kit/servers/redisServer.ts";
import { fault, faults } from "./harness/fault.ts";
import type { Proxied } from "./harness/proxied.ts";
import { killConnections } from "./harness/serverView.ts";

/** A server that speaks TLS behind a proxy; a handshake may take 200 ms. */
async function overTls(): Promise<Proxied> {
  const certificates = await makeCertificates();
  const server = await startRedis([], "", tlsOf(certificates));
  const proxy = await startProxy(server.port);
  return {
    server,
    proxy,
    settings: {
      uri: proxy.uri.replace("redis:", "rediss:"),
      tls: { ca: certificates.ca.cert },
      sendTimeoutMs: 1000,
      connectTimeoutMs: 200,
    },
    reader: () => server.client,
    stop: async () => {
      await proxy.stop();
      await server.stop();
      certificates.remove();
    },
  };
}

faults("TLS", () => {
  fault({
    fault: "killed by the server",
    times: { short: 20, long: 150 },
    bed: overTls,
    inject: ({ bed }) => killConnections(bed.server),
  });

  fault({
    fault: "reset at any byte, of a handshake as well",
    times: { short: 20, long: 150 },
    bed: overTls,
    inject: async ({ bed: { proxy }, random }) => {
      await proxy.resetAfter(random.between(0, 60_000), "requests");
      // A server's handshake has some 1,200 bytes.
      await proxy.resetAfter(random.between(0, 1500), "replies");
    },
  });

  fault({
    fault: "slow handshakes",
    times: { short: 5, long: 40 },
    bed: overTls,
    inject: async ({ bed: { proxy }, load }) => {
      proxy.delay(20);
      proxy.reset();
      await load.progress(2);
      proxy.delay(0);
    },
  });

  fault({
    fault: "handshakes slower than connectTimeoutMs",
    times: { short: 3, long: 20 },
    bed: overTls,
    inject: async ({ bed: { proxy }, load }) => {
      proxy.delay(150);
      proxy.reset();
      for (let attempt = 0; attempt < 2; attempt += 1) await load.retrying("ConnectionLost");
      await proxy.restore();
    },
  });
});
