export { type RedisSink, redisSink } from "./sink/redisSink.ts";
export { fromReadable } from "./sources/fromReadable.ts";
export * from "./withoutNode.ts";
