import { type FolderFiles, type Wanted } from "./folder.js";
/**
 * The files that names stand for, in the order of the names: a file is itself; a folder is the data files in it, see
 * `folderFiles`; * and ? match within a name, ** folders at any depth. What is hidden is left out, unless named.
 * @param wanted the split that a folder is read for
 * @throws LowrankError E_DATA_FILES, E_FILE
 */
export declare function dataFiles(names: string[], wanted?: Wanted): FolderFiles;
/**
 * Whatever a file is called, by links and otherwise, it is either trained on or evaluated on.
 * @throws LowrankError E_DATA_FILES naming a file that is among both
 */
export declare function requireApart(training: string[], validation: string[]): void;
