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
const mostMemory = 256 * 1024;
/** Around a word: `$`, its length and two line ends. */
const frameBytes = 21;
/** Of a character of JavaScript's in UTF-8. */
const mostCharacterBytes = 3;

/** Writes words one after the other into pieces of memory, so that what is sent together lies together. */
export class BulkWriter {
  #memory = Buffer.alloc(0);
  #at = 0;

  write(words: readonly Word[]): Bulk {
    let most = 0;
    for (const word of words) most += mostBytesOf(word);
    this.#reserve(most);
    const memory = this.#memory;
    const start = this.#at;
    let bytes = 0;
    for (const word of words) bytes += this.#put(word);
    return { memory, start, end: this.#at, words: words.length, bytes };
  }

  /** The same for one word. */
  writeOne(word: Word): Bulk {
    this.#reserve(mostBytesOf(word));
    const memory = this.#memory;
    const start = this.#at;
    const bytes = this.#put(word);
    return { memory, start, end: this.#at, words: 1, bytes };
  }

  /** Writes a bulk string; returns the size of its word. */
  #put(word: Word): number {
    const memory = this.#memory;
    // Most text has no special character: its bytes are as many as its characters.
    const first = this.#at + 3 + digitsOf(word.length);
    const bytes = typeof word === "string" ? memory.write(word, first) : word.copy(memory, first);
    const start = this.#at + 3 + digitsOf(bytes);
    if (start !== first) memory.copyWithin(start, first, first + bytes);
    putLength(memory, this.#at, bytes);
    const end = start + bytes;
    memory[end] = 13;
    memory[end + 1] = 10;
    this.#at = end + 2;
    return bytes;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#memory.length) return;
    const size = Math.max(bytes, Math.min(mostMemory, Math.max(leastMemory, 2 * this.#memory.length)));
    this.#memory = Buffer.allocUnsafeSlow(size);
    this.#at = 0;
  }
}

/** No less than a word takes; what is long is measured, so that little is reserved in vain. */
function mostBytesOf(word: Word): number {
  const isShort = word.length < leastMemory / mostCharacterBytes;
  return frameBytes + (isShort ? word.length * mostCharacterBytes : Buffer.byteLength(word));
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
