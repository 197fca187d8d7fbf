import { expect } from "vitest";
import { fault, faults } from "./harness/fault.ts";
import { type OneServer, oneServer } from "./harness/oneServer.ts";
import { handWritten } from "./harness/writers.ts";

const killed = {
  times: { short: 40, long: 200 },
  bed: () => oneServer(),
  inject: async ({ bed }: { readonly bed: OneServer }) => {
    await bed.server.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  },
};

faults("connection", () => {
  fault({ fault: "killed by the server (CLIENT KILL)", ...killed });

  fault({
    fault: "killed by the server, control: hand-written ioredis",
    ...killed,
    writer: (bed) => handWritten(bed.server.uri),
    promise: {
      text: "duplicates",
      holds: ({ duplicates }) => expect(duplicates).toBeGreaterThan(0),
    },
  });
});
