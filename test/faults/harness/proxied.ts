import type { SinkOptions } from "../../../src/index.ts";
import type { Numbered } from "../../kit/load/pacedNumbers.ts";
import { startProxy, type TcpProxy } from "../../kit/network/tcpProxy.ts";
import { type OneServer, oneServer } from "./oneServer.ts";

/** A bed of a single server behind a proxy. */
export interface Proxied extends OneServer {
  readonly proxy: TcpProxy;
}

/** Starts a bed of a single server behind a proxy; the sink gives up a silent connection after 200 ms. */
export async function proxied(settings: Partial<SinkOptions<Numbered, number>> = {}): Promise<Proxied> {
  const bed = await oneServer();
  const proxy = await startProxy(bed.server.port);
  return {
    ...bed,
    proxy,
    settings: { uri: proxy.uri, sendTimeoutMs: 200, connectTimeoutMs: 200, ...settings },
    stop: async () => {
      await proxy.stop();
      await bed.stop();
    },
  };
}
