import type { SinkSettings } from "../../../src/index.ts";
import type { RedisServer } from "../../../src/redis/connect/anotherClient.ts";
import type { FakeServer } from "../../../src/redis/publish/fakeServer.ts";
import type { Direction } from "../../kit/network/tcpProxy.ts";
import type { LogEvent } from "./log.ts";

/** What connects one process with the servers. */
export interface Line {
  readonly server: RedisServer | { readonly connection: FakeServer };
  readonly hold: (direction: Direction) => void;
  readonly release: () => void;
  readonly isHeld: () => boolean;
  readonly cut: () => void;
  /** Where new connections go. */
  readonly retarget?: (port: number) => void;
  readonly close: () => Promise<unknown>;
}

/** The keys of a history. */
export interface Keys {
  /** The streams; an event goes to the one at its number modulo how many there are. */
  readonly streams: readonly string[];
  readonly states: readonly string[];
  /** What says that there has been a state. */
  readonly marks: readonly string[];
}

/** The numbers of the events that a stream holds, oldest first. */
export type Content = readonly number[];

/** A server of some kind, for one history. */
export interface World {
  readonly keys: Keys;
  /** What is asked of a sink here, beside where it publishes. */
  readonly settings: Partial<SinkSettings<LogEvent, number>>;
  readonly connect: () => Promise<Line>;
  readonly contents: () => Promise<readonly Content[]>;
  /** The position that each producer state holds, 0 at its beginning; undefined: there is no such state. */
  readonly positions: () => Promise<readonly (number | undefined)[]>;
  /** No batch can be as safe as it has to be: the replica that has to have it is away. */
  readonly isStalled?: () => boolean;
  /** Why something is where nothing should be. */
  readonly astray: () => Promise<string | undefined>;
  /** Lets time go by until it is so; false: it was not, for as long as one waits. */
  readonly until: (isSo: () => boolean) => Promise<boolean>;
  /** Lets time go by until what can have been sent has been. */
  readonly pass: () => Promise<void>;
  /** A step of the history is about to begin, by its index. */
  readonly begin: (index: number) => Promise<void>;
  /** Resolves with what the streams held just before, as all do that lose something. */
  readonly flush: () => Promise<readonly Content[]>;
  readonly restart: (keepsData: boolean) => Promise<readonly Content[]>;
  readonly lag: () => Promise<unknown>;
  readonly failover: (node: number) => Promise<readonly Content[]>;
  readonly remove: (key: string, how: "delete" | "rename") => Promise<readonly Content[]>;
  /** Of the server in memory: the newest batches are gone, as this step has it. */
  readonly lose: () => Promise<unknown>;
  readonly exhaust: (key: string, left: number) => Promise<unknown>;
  readonly close: () => Promise<unknown>;
}
