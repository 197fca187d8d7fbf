import fc from "fast-check";

/** Where a length gets one more digit, and where a sink takes memory otherwise. */
const borders = [
  ...[10, 100, 1000, 10_000, 100_000],
  ...[(16 * 1024) / 3, (32 * 1024) / 3, 16 * 1024, 32 * 1024, 256 * 1024],
];

/** Texts whose bytes are about so many, though they may have fewer characters. */
const atBorder = fc
  .tuple(fc.constantFrom(...borders), fc.integer({ min: -24, max: 3 }), fc.constantFrom("x", "é", "€", "😀"))
  .map(([border, beside, character]) => {
    const count = Math.max(0, Math.floor(border / Buffer.byteLength(character)) + beside);
    return character.repeat(count);
  });

/** Texts and bytes of all kinds, now and then long. */
export const awkwardWord: fc.Arbitrary<string | Buffer> = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme", maxLength: 40 }),
  // Half of a pair, which UTF-8 cannot express.
  fc.constantFrom("\ud800 and more", "and \udc00", "\0", ""),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  atBorder,
);
