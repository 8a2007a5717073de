/** Edit distance with swaps of neighbours (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}

/** Nothing longer is a slip of the pen, and distances of long texts take long. */
const LONGEST = 200;

/** The known name that was probably meant: it is few edits away, or contains the given one. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > LONGEST) return undefined;
  const allowed = Math.max(2, Math.floor(name.length / 3));
  const byDistance = known
    .map((candidate) => ({ candidate, edits: distance(name, candidate) }))
    .sort((a, b) => a.edits - b.edits)[0];
  if (byDistance && byDistance.edits <= allowed && byDistance.edits < name.length) return byDistance.candidate;
  return known.find((candidate) => name.length >= 4 && candidate.includes(name));
}

/** ` (did you mean "x"?)`, or nothing where no name is near. @param spelled how the near name is written */
export function suggestion(
  name: string,
  known: readonly string[],
  spelled: (near: string) => string = JSON.stringify,
): string {
  const near = nearest(name, known);
  return near === undefined ? "" : ` (did you mean ${spelled(near)}?)`;
}
