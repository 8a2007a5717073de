// Where rows are read from, and the state of their files when a cache file was made.
import { createHash } from "node:crypto";
import { realpathSync, statSync, writeFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { readError } from "../../base/system-errors.js";
import { type DataFile, pathOf } from "../data-file.js";
import type { ReadOptions } from "../formats/format.js";
import { isPipe } from "../formats/pipe.js";
import { PipePlaces } from "../pipe-places.js";
import { type RenderSpec, rendererOf } from "../render/index.js";
import { placesOf, readRows } from "../rows.js";
import type { TextReadOptions } from "../texts.js";

/** Rows, some at a time, and how each becomes a text. */
export interface TextSource {
  /** Files, for the cache file's provenance; empty where the texts come from the program itself. */
  files: string[];
  render: RenderSpec;
  /** Size of the files that are read whole; 0 where it is not known. */
  bytes?(): number;
  /** The values of the renderer's columns for each row. */
  rows(): AsyncIterable<unknown[][]>;
  /** Where rows come from, for errors: "train.jsonl, line 12". @param numbers of rows that were read, in order */
  places(numbers: number[]): Promise<string[]>;
  /** Differs where the rows may differ, without reading them; null where that cannot be known. */
  state(): string | null;
}

/**
 * A file that was changed so recently may be changed again within the same tick of the file system's clock, with nothing
 * to show for it.
 */
const SETTLED_MS = 2000;

/** Plain texts of files. @param warn see `readRows` */
export function fileTexts(
  files: string[],
  { column, ...options }: TextReadOptions,
  warn?: (message: string) => void,
): TextSource {
  return fileRows(files, { kind: "text", column }, options, warn);
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Rows of files. @param warn see `readRows` */
export function fileRows(
  data: DataFile[],
  render: RenderSpec,
  options: ReadOptions,
  warn?: (message: string) => void,
): TextSource {
  const { columns } = rendererOf(render);
  const files = data.map(pathOf);
  // A pipe cannot be read again.
  const once = files.some(isPipe) ? new PipePlaces() : null;
  return {
    files,
    render,
    bytes: () => data.reduce((sum, part) => sum + (typeof part === "string" ? sizeOf(part) : 0), 0),
    async *rows() {
      for await (const { file, unit, rows } of readRows(data, columns, options, warn)) {
        if (once) for (const { at } of rows) once.add(file, unit, at);
        yield rows.map(({ values }) => values);
      }
    },
    places: async (numbers) =>
      once ? numbers.map((number) => once.of(number)) : await placesOf(data, columns, options, numbers),
    state() {
      if (once) return null;
      const found = data.map((part) => {
        const file = pathOf(part);
        try {
          const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
          const settled = Date.now() - Number(ctimeNs / 1_000_000n) > SETTLED_MS;
          const rows = typeof part === "string" ? [] : [part.from, part.to];
          return settled ? [realpathSync(file), ...[dev, ino, size, mtimeNs, ctimeNs, ...rows].map(String)] : null;
        } catch (error) {
          throw readError(error, file, "Data file");
        }
      });
      return found.includes(null) ? null : JSON.stringify([columns, options, found]);
    },
  };
}

/** Texts that are in memory already. */
export function givenTexts(texts: Iterable<string> | AsyncIterable<string>): TextSource {
  return {
    files: [],
    render: { kind: "text", column: "text" },
    async *rows() {
      for await (const text of texts) yield [[text]];
    },
    places: async (numbers) => numbers.map((number) => `text ${number + 1}`),
    state: () => null,
  };
}

/** Rows that are in memory already: the values of the renderer's columns. */
export function givenRows(rows: AsyncIterable<unknown[]>, render: RenderSpec): TextSource {
  return {
    files: [],
    render,
    async *rows() {
      for await (const row of rows) yield [row];
    },
    places: async (numbers) => numbers.map((number) => `row ${number + 1}`),
    state: () => null,
  };
}

/** The name under which the cache file of sources in this state is remembered. */
export function stampOf(state: string, decisive: string[]): string {
  return createHash("sha256")
    .update(JSON.stringify([state, ...decisive]))
    .digest("hex");
}

/** Notes which cache file was made from sources in a state. Where that fails, the rows are read again next time. */
export async function rememberSources(folder: string, stamp: string, key: string): Promise<void> {
  const file = join(folder, `${stamp}.json`);
  try {
    writeFileSync(`${file}.${process.pid}`, JSON.stringify({ key }));
    await rename(`${file}.${process.pid}`, file);
  } catch {
    // It is a shortcut only.
  }
}
