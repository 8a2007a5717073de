/** A split by the name that it has in a file's name, in dataset_dict.json or in a Hive partition. */
export declare function splitNamed(name: string): string;
/**
 * The files of each split: numbered shards in data/, else what lies in folders of a split's name, else files with one in
 * their name.
 * @param paths within the folder, sorted
 * @returns no split where no name has one
 */
export declare function splitsOf(paths: string[]): Map<string, string[]>;
