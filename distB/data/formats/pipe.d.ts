/** Whether a name is that of a pipe, or of a socket that the process was started with in place of one. */
export declare function isPipe(file: string): boolean;
/** The bytes of a pipe that `openPipe` has opened. */
export declare function readPipe(file: string): AsyncGenerator<Buffer, void, undefined>;
/** Holds a pipe open, if the file is one, while its bytes are looked at and then read. @returns ends that */
export declare function openPipe(file: string): () => void;
