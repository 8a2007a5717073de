/** Files of each split, by paths within the repository; none where no name tells. */
export type Splits = Map<string, string[]>;
/**
 * What a folder's card says about the files in it: those of its default configuration, or of the one that is there.
 * @param paths of data files within the folder, sorted
 * @returns undefined where there is no card, or what it describes is not there
 * @throws LowrankError E_DATA_FILES where there are several and none is the default, as datasets does
 */
export declare function describedSplits(folder: string, paths: string[]): {
    splits: Splits;
    all: string[];
} | undefined;
