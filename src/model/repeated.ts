// Which of very many names stand more than once. A Set of a million texts takes a second; their hashes are sorted in a tenth of it.

function hash(name: string): number {
  let sum = 0;
  for (let i = 0; i < name.length; i++) sum = Math.imul(sum ^ name.charCodeAt(i), 0x01000193);
  return sum;
}

function repeatedNumbers(numbers: Int32Array): Set<number> {
  const sorted = numbers.slice().sort();
  const repeated = new Set<number>();
  for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) repeated.add(sorted[i]!);
  return repeated;
}

/** Every name that stands more than once in a list. */
export function repeatedNames(list: { name: string }[]): Set<string> {
  const hashes = new Int32Array(list.length);
  for (let i = 0; i < hashes.length; i++) hashes[i] = hash(list[i]!.name);
  const doubtful = repeatedNumbers(hashes);
  const seen = new Set<string>();
  const repeated = new Set<string>();
  if (doubtful.size === 0) return repeated;
  for (const [i, { name }] of list.entries()) {
    if (!doubtful.has(hashes[i]!)) continue;
    if (seen.has(name)) repeated.add(name);
    seen.add(name);
  }
  return repeated;
}
