export { type FakeGroup, type FakeGroupOptions, fakeGroup } from "./fakeGroup.ts";
export { type FakeRedis, type FakeRedisOptions, fakeRedis } from "./fakeRedis.ts";
export type { FakeEntry } from "./memoryStream.ts";
