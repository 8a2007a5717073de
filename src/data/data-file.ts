// A data file, or some rows of one.

/** Rows `from` to before `to` of a file, counted from 0. */
export interface FilePart {
  file: string;
  from: number;
  to: number;
}

export type DataFile = string | FilePart;

export const pathOf = (file: DataFile): string => (typeof file === "string" ? file : file.file);

/** The part; of a whole file, all rows. */
export const partOf = (file: DataFile): FilePart =>
  typeof file === "string" ? { file, from: 0, to: Number.POSITIVE_INFINITY } : file;
