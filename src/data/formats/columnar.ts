// Shared by the binary formats: wanted columns, read from ranges of the file.
import { isUtf8 } from "node:buffer";
import { LowrankError } from "../../base/errors.js";
import { damageError } from "./damage.js";
import type { Column, Format, Row } from "./format.js";
import { RandomAccess } from "./random-access.js";

/** A text of UTF-8 bytes. @throws LowrankError E_UTF8 */
export type Decode = (bytes: Uint8Array) => string;

/** A wanted column, and how its texts are decoded. */
export interface Wanted extends Column {
  text: Decode;
}

/** The first bytes of a gzip file. */
const GZIP = Buffer.from([0x1f, 0x8b]);
const MOST_ROWS_AT_A_TIME = 1024;

/**
 * @param kind name of the files in an error: "Parquet"
 * @param read the values of each wanted column for some rows at a time; throws Damage where the bytes are broken
 * @param count the number of rows, likewise
 */
export function columnar(
  kind: string,
  extensions: string[],
  read: (source: RandomAccess, columns: Wanted[]) => AsyncIterable<unknown[][]>,
  count: (source: RandomAccess) => Promise<number>,
): Format {
  /** @throws LowrankError, Damage */
  async function requirePlain(source: RandomAccess): Promise<void> {
    const start = await source.read(0, Math.min(GZIP.length, source.size));
    if (!start.equals(GZIP)) return;
    const { file } = source;
    const message = `${file} is packed as a whole with gzip, which a ${kind} file must not be. Unpack it with gunzip.`;
    throw new LowrankError(`E_${kind.toUpperCase()}`, message, file);
  }

  async function* rows(file: string, columns: Column[]): AsyncGenerator<Row[]> {
    const source = await RandomAccess.open(file);
    let at = 0;
    const decoder = (column: string) => (bytes: Uint8Array) => {
      if (isUtf8(bytes)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
      const message = `${file}: a text of column "${column}" after row ${at} is not valid UTF-8. Write it again.`;
      throw new LowrankError("E_UTF8", message, file);
    };
    const wanted = columns.map((column) => ({ ...column, text: decoder(column.name) }));
    try {
      await requirePlain(source);
      for await (const values of read(source, wanted)) {
        const count = values[0]?.length ?? 0;
        for (let i = 0; i < count; i += MOST_ROWS_AT_A_TIME) {
          const length = Math.min(MOST_ROWS_AT_A_TIME, count - i);
          yield Array.from({ length }, (_, k) => ({ values: values.map((column) => column[i + k]), at: ++at }));
        }
      }
    } catch (error) {
      throw damageError(error, file, kind);
    } finally {
      await source.close();
    }
  }

  async function counted(file: string): Promise<number> {
    const source = await RandomAccess.open(file);
    try {
      await requirePlain(source);
      return await count(source);
    } catch (error) {
      throw damageError(error, file, kind);
    } finally {
      await source.close();
    }
  }

  return { extensions, gzip: false, unit: "row", read: (file, columns) => rows(file, columns), count: counted };
}

/**
 * Columns that are read some rows at a time, each its own number, as rows that all of them have.
 * @param streams of the values of each column; all give the same number
 */
export async function* alignColumns(streams: AsyncIterable<unknown[]>[]): AsyncGenerator<unknown[][]> {
  const readers = streams.map((stream) => stream[Symbol.asyncIterator]());
  const some: unknown[][] = streams.map(() => []);
  const begins = streams.map(() => 0);
  try {
    for (;;) {
      for (const [c, reader] of readers.entries()) {
        while (begins[c] === some[c]!.length) {
          const next = await reader.next();
          if (next.done) return;
          some[c] = next.value;
          begins[c] = 0;
        }
      }
      const rows = Math.min(...some.map((values, c) => values.length - begins[c]!));
      yield some.map((values, c) => (values.length === rows ? values : values.slice(begins[c], begins[c]! + rows)));
      for (const c of begins.keys()) begins[c]! += rows;
    }
  } finally {
    for (const reader of readers) await reader.return?.();
  }
}

/** Values of the columns that a file has, with nulls for the optional ones that it lacks. @param columns null where it is lacked */
export function withAbsent(columns: readonly unknown[], values: unknown[][]): unknown[][] {
  if (values.length === columns.length || values.length === 0) return values;
  let next = 0;
  const rows = values[0]!.length;
  return columns.map((column) => (column === null ? new Array<null>(rows).fill(null) : values[next++]!));
}

/** A column that is asked for texts and holds something else. */
export function notTexts(file: string, column: string, type: string): LowrankError {
  return new LowrankError("E_DATA_ROW", `${file}: column "${column}" is of ${type}, expected texts.`, file);
}

/** A column whose values cannot be read. @param type name of the type of a value in it */
export function unreadType(file: string, column: string, type: string): LowrankError {
  const message = `${file}: column "${column}" holds values of type ${type}, which cannot be read. Write them as texts or numbers.`;
  return new LowrankError("E_DATA_ROW", message, file);
}
