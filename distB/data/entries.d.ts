export interface Entry {
    name: string;
    path: string;
    kind: "file" | "folder" | "other";
    isLink: boolean;
}
/**
 * What a folder holds, sorted by name; links are what they lead to.
 * @param folder "" is the current one
 * @param matters names that are looked for: one that is no UTF-8, or is a link to nowhere, is an error; others are left out
 * @throws LowrankError E_FILE for a folder that cannot be read, E_DATA_FILES
 */
export declare function entriesOf(folder: string, matters: (name: string) => boolean): Entry[];
