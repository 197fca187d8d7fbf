import { Spares, spareBytes } from "./spares.ts";

/** A word that is sent to Redis. */
export type Word = string | Buffer;

/** Words as Redis reads them, RESP bulk strings, in memory that they share with those written before and after. */
export interface Bulk {
  readonly memory: Buffer;
  readonly start: number;
  readonly end: number;
  /** How many words. */
  readonly words: number;
  /** The size of the words alone. */
  readonly bytes: number;
}

/** In bytes: of a piece of memory for what is small, and no more than that for what comes often. */
const leastMemory = 16 * 1024;
const mostMemory = spareBytes;
/** What is larger gets memory of its own, as much as it takes: of a shared piece it would leave much empty. */
const mostShared = mostMemory / 8;
/** Around a word: `$`, its length and two line ends. */
const mostFrameBytes = 21;
/** Of a character of JavaScript's in UTF-8. */
export const mostCharacterBytes = 3;

/** What a {@link Direct} says of a value that it has no room for, or does not write at all. */
export const notWritten = -1;

/** Writes a value into memory, from `start` to no more than `end`; returns up to where, or {@link notWritten}. May run code of the user's. */
export interface Direct {
  readonly write: (value: unknown, memory: Buffer, start: number, end: number) => number;
}

/**
 * Writes words one after the other into pieces of memory, so that what is sent together lies together. A piece of
 * which nothing is needed any more is written again.
 */
export class BulkWriter {
  #piece: Buffer = Buffer.alloc(0);
  /** Up to where the piece is written. */
  #at = 0;
  /** What was written before, in that order. */
  #before: { readonly memory: Buffer; readonly isShared: boolean }[] = [];
  readonly #spares = new Spares();
  /** The piece that a {@link Direct} is writing into: nobody else may. */
  #taken: Buffer | undefined;
  /** Digits in the length of what was written directly before: mostly the next has as many. */
  #digits = 1;

  write(words: readonly Word[]): Bulk {
    let size = 0;
    for (const word of words) size += mostBytesOf(word);
    if (size > mostShared) {
      size = 0;
      for (const word of words) size += bytesOf(word);
    }
    const memory = this.#memoryFor(size);
    const start = this.#startIn(memory);
    let end = start;
    let bytes = 0;
    for (const word of words) {
      const wordBytes = put(memory, end, word);
      end += framed(wordBytes);
      bytes += wordBytes;
    }
    return this.#written(memory, start, end, words.length, bytes);
  }

  /** The same for one word. */
  writeOne(word: Word): Bulk {
    const most = mostBytesOf(word);
    const memory = this.#memoryFor(most > mostShared ? bytesOf(word) : most);
    const start = this.#startIn(memory);
    const bytes = put(memory, start, word);
    return this.#written(memory, start, start + framed(bytes), 1, bytes);
  }

  /** One word that is written directly; undefined: it is not, or is longer than `most`. What is written from within comes before it. */
  writeDirect(direct: Direct, value: unknown, most: number): Bulk | undefined {
    const memory = this.#memoryFor(0);
    const start = this.#at;
    const guessed = start + 3 + this.#digits;
    const end = Math.min(memory.length - mostFrameBytes, guessed + Math.min(most, mostShared));
    let to: number;
    this.#taken = memory;
    try {
      to = direct.write(value, memory, guessed, end);
    } finally {
      if (this.#taken === memory) this.#taken = undefined;
    }
    if (to === notWritten) return undefined;
    const bytes = to - guessed;
    if (this.#piece !== memory) return this.writeOne(Buffer.from(memory.subarray(guessed, to)));
    this.#digits = digitsOf(bytes);
    frame(memory, start, guessed, bytes);
    return this.#written(memory, start, start + framed(bytes), 1, bytes);
  }

  /** No word, at its place among the others. */
  writeNone(): Bulk {
    return this.#written(this.#piece, this.#at, this.#at, 0, 0);
  }

  /** Of what was written before what lies there nothing is needed any more. */
  release(memory: Buffer): void {
    const count =
      memory === this.#piece
        ? this.#before.length
        : this.#before.findIndex((piece) => piece.memory === memory);
    if (count > 0) this.#leave(count);
  }

  /** Nothing is needed any more of what it has written: it holds on to no more than is taken for what is small. */
  rest(): void {
    if (this.#piece.length > leastMemory) this.#next(Buffer.alloc(0));
    this.#at = 0;
    this.#leave(this.#before.length);
  }

  #leave(count: number): void {
    for (const { memory, isShared } of this.#before.splice(0, count))
      if (isShared && memory.length === mostMemory) this.#spares.give(memory);
  }

  #memoryFor(size: number): Buffer {
    if (size > mostShared) {
      const memory = Buffer.allocUnsafeSlow(size);
      this.#before.push({ memory, isShared: false });
      return memory;
    }
    if (this.#piece === this.#taken || this.#at + size > this.#piece.length) {
      const next = this.#nextSize(size);
      this.#next(next === mostMemory ? this.#spares.take() : Buffer.allocUnsafeSlow(next));
    }
    return this.#piece;
  }

  #nextSize(least: number): number {
    return Math.min(mostMemory, Math.max(leastMemory, least, 2 * this.#piece.length));
  }

  #next(piece: Buffer): void {
    this.#before.push({ memory: this.#piece, isShared: this.#piece !== this.#taken });
    this.#piece = piece;
    this.#at = 0;
  }

  #startIn(memory: Buffer): number {
    return memory === this.#piece ? this.#at : 0;
  }

  #written(memory: Buffer, start: number, end: number, words: number, bytes: number): Bulk {
    if (memory === this.#piece) this.#at = end;
    return { memory, start, end, words, bytes };
  }
}

/** Writes a word as a bulk string; returns the size of the word. */
function put(memory: Buffer, at: number, word: Word): number {
  // Most text has no special character: its bytes are as many as its characters.
  const first = at + 3 + digitsOf(word.length);
  const bytes = typeof word === "string" ? memory.write(word, first) : word.copy(memory, first);
  frame(memory, at, first, bytes);
  return bytes;
}

/** Makes a bulk string of bytes that stand at about their place. */
function frame(memory: Buffer, at: number, first: number, bytes: number): void {
  const start = at + 3 + digitsOf(bytes);
  if (start !== first) memory.copyWithin(start, first, first + bytes);
  putLength(memory, at, bytes);
  memory[start + bytes] = 13;
  memory[start + bytes + 1] = 10;
}

/** No less than a word takes as a bulk string, told without a look at its characters. */
function mostBytesOf({ length }: Word): number {
  return mostFrameBytes + mostCharacterBytes * length;
}

/** What it takes. */
function bytesOf(word: Word): number {
  return framed(Buffer.byteLength(word));
}

/** What a word of so many bytes takes as a bulk string. */
function framed(bytes: number): number {
  return 5 + digitsOf(bytes) + bytes;
}

function digitsOf(length: number): number {
  let digits = 1;
  for (let most = 10; length >= most; most *= 10) digits += 1;
  return digits;
}

/** `$`, the length without leading zeros, and a line end. */
function putLength(memory: Buffer, start: number, length: number): void {
  memory[start] = 36;
  const end = start + 1 + digitsOf(length);
  let rest = length;
  for (let at = end - 1; at > start; at -= 1) {
    const tenth = Math.floor(rest / 10);
    memory[at] = 48 + rest - 10 * tenth;
    rest = tenth;
  }
  memory[end] = 13;
  memory[end + 1] = 10;
}

/** Reads them again. */
export function wordsIn({ memory, start, end }: Bulk): readonly Buffer[] {
  const words: Buffer[] = [];
  for (let at = start; at < end; ) {
    const lineEnd = memory.indexOf(13, at);
    const first = lineEnd + 2;
    const last = first + Number(memory.toString("latin1", at + 1, lineEnd));
    words.push(memory.subarray(first, last));
    at = last + 2;
  }
  return words;
}
