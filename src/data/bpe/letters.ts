// The letters in which byte-level vocabularies are written: one for each byte, as GPT-2 chose them.

/** GPT-2's letters for bytes: printable ones for themselves, the others from U+0100 on. */
export const LETTERS = letters();

function letters(): string[] {
  const printable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : 256 + others++));
}

/** The byte of each letter by its code point, -1 for characters that are no letters. */
export const LETTER_BYTES = new Int16Array(0x180).fill(-1);
for (const [byte, letter] of LETTERS.entries()) LETTER_BYTES[letter.charCodeAt(0)] = byte;
