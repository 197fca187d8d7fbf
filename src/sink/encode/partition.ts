/**
 * The stream of a key: one of `stream:{0}`, `stream:{1}` and so on, always the same for a number of partitions. In a
 * Cluster the braces spread them over the slots.
 *
 * It is CRC-32 of the key in UTF-8 (ISO 3309, as in zlib) modulo `partitions`, so that other programs can find it.
 */
export function partitionOf(stream: string, key: string, partitions: number): string {
  return partitionAt(stream, crc32(key) % partitions);
}

/** The stream with a number, from 0. */
export function partitionAt(stream: string, index: number): string {
  return `${stream}:{${index}}`;
}

/** What each byte makes of the lowest eight bits of a CRC-32, by the reversed polynomial. */
const table = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

const utf8 = new TextEncoder();
/** Of what is short, as keys are: memory that is there already. */
const room = new Uint8Array(1024);

/** Of a text in UTF-8. That of node:zlib would not let this be bundled for a browser, and is no faster. */
function crc32(text: string): number {
  // A unit of a string is at most three bytes.
  const bytes = 3 * text.length > room.length ? utf8.encode(text) : room;
  const length = bytes === room ? utf8.encodeInto(text, room).written : bytes.length;
  let crc = -1;
  for (let at = 0; at < length; at += 1) crc = (table[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}
