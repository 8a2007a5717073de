export type Wanted = "train" | "validation";
export interface FolderFiles {
    files: string[];
    /** Of a folder to train on: the files of its validation split. */
    validation: string[];
    /** What was taken and what was not, for the log. */
    notes: string[];
}
/** Whether a file that a folder or a pattern finds is no data: to be read it must be named itself. */
export declare function isAside(name: string): boolean;
/** Whether a name may be that of data: of a file that can be read, or of a folder. */
export declare function mayBeData(name: string): boolean;
/**
 * The data files of a folder, at every depth: those of the split, if the names tell one, and of the format that most have.
 * @throws LowrankError E_DATA_FILES where there is none; E_FILE
 */
export declare function folderFiles(folder: string, wanted: Wanted): FolderFiles;
