import { startProxy } from "../test/kit/network/tcpProxy.ts";

// The program of `startDelay`: says its port, then takes delays in ms.
const proxy = await startProxy(Number(process.argv[2]));
process.on("message", (ms: number) => {
  proxy.delay(ms);
  process.send?.("set");
});
process.on("disconnect", () => process.exit());
process.send?.(proxy.port);
