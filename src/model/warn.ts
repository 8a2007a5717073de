/** Told an oddity of a model that has been understood all the same. */
export type Warn = (message: string) => void;
