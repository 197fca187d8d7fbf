import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { preparePublication } from "../../../src/sources/postgres/publication.ts";
import { type PostgresServer, startPostgres } from "../../kit/servers/postgresServer.ts";

let postgres: PostgresServer;
let clients: readonly Client[];
beforeAll(async () => {
  postgres = await startPostgres();
  clients = Array.from({ length: 8 }, () => new Client(postgres.connectionString));
  await Promise.all(clients.map((client) => client.connect()));
  await clients[0]?.query("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)");
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await postgres.stop();
});

describe("preparePublication", () => {
  it.each([undefined, ["public.a"]])(
    "makes it once, however many pipelines begin at the same time: %s",
    async (tables) => {
      for (let round = 0; round < 20; round += 1) {
        const name = `${tables ?? "all"} ${round}`;
        await Promise.all(
          clients.map((client) => preparePublication(client, name, { tables, viaPartitionRoot: undefined })),
        );
      }
    },
  );

  it("says what it finds when another one has made it of other tables meanwhile", async () => {
    const results = await Promise.allSettled(
      clients.map((client, index) =>
        preparePublication(client, "two", {
          tables: [index % 2 ? "public.a" : "public.b"],
          viaPartitionRoot: undefined,
        }),
      ),
    );
    const refused = results.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(4);
    for (const result of refused) {
      expect(result).toMatchObject({ reason: { _tag: "NotConfigured" } });
      expect(result).toMatchObject({
        reason: { message: expect.stringMatching(/found publication two of public\.[ab], expected/) },
      });
    }
  });
});
