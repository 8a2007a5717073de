/** Told what is odd about a model and has been understood all the same. */
export type Warn = (message: string) => void;
