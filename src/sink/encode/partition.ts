import { crc32 } from "node:zlib";

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
