// Which split the files of a folder belong to, by their names, as datasets' load_dataset(folder) has it.

/** Names of a split, of a folder or at the beginning, the end or in the middle of a name. */
const KEYWORDS = {
  train: ["train", "training"],
  validation: ["validation", "valid", "dev", "val"],
  test: ["test", "testing", "eval", "evaluation"],
};

/** A split by the name that it has in a file's name, in dataset_dict.json or in a Hive partition. */
export function splitNamed(name: string): string {
  return Object.entries(KEYWORDS).find(([, keywords]) => keywords.includes(name))?.[0] ?? name;
}

/** Characters that separate a keyword from the other characters of a name. */
const BESIDE = "[-._ 0-9]";
/** data/train-00000-of-00002.parquet, and with a fingerprint before the extension. */
const SHARD = /^data\/([^/]+)-\d{5}-of-\d{5}[^/]*\.[^/]*$/;

/** Patterns in the order in which datasets looks for them. The files that they find have this order, too. */
interface Pattern {
  split: string;
  test: RegExp;
}

const PATTERNS = Object.entries(KEYWORDS).flatMap(([split, keywords]) => keywords.map((word) => ({ split, word })));

const OF_FOLDERS: Pattern[] = PATTERNS.flatMap(({ split, word }) =>
  [`(?:split=)?${word}`, `${word}${BESIDE}[^/]*`, `[^/]*${BESIDE}${word}`, `[^/]*${BESIDE}${word}${BESIDE}[^/]*`].map(
    (name) => ({ split, test: new RegExp(`(^|/)${name}/`, "u") }),
  ),
);

const OF_FILES: Pattern[] = PATTERNS.flatMap(({ split, word }) =>
  ["", `[^/]*${BESIDE}`].map((before) => ({ split, test: new RegExp(`(^|/)${before}${word}${BESIDE}[^/]*$`, "u") })),
);

function byPatterns(paths: string[], patterns: Pattern[]): Map<string, string[]> {
  const splits = new Map<string, Set<string>>();
  for (const { split, test } of patterns) {
    for (const path of paths.filter((each) => test.test(each))) {
      splits.set(split, (splits.get(split) ?? new Set()).add(path));
    }
  }
  return new Map([...splits].map(([split, found]) => [split, [...found]]));
}

/**
 * The files of each split: numbered shards in data/, else files in folders of a split's name, else files with a split's
 * word in their name.
 * @param paths within the folder, sorted
 * @returns no split where no name has one
 */
export function splitsOf(paths: string[]): Map<string, string[]> {
  const shards = new Map<string, string[]>();
  for (const path of paths) {
    const name = SHARD.exec(path)?.[1];
    if (name !== undefined) shards.set(splitNamed(name), [...(shards.get(splitNamed(name)) ?? []), path]);
  }
  if (shards.size > 0) return shards;
  const folders = byPatterns(paths, OF_FOLDERS);
  return folders.size > 0 ? folders : byPatterns(paths, OF_FILES);
}
