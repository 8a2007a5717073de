// The one table of formats, and which of them a file is.
import { closeSync } from "node:fs";
import { basename, extname } from "node:path";
import { LowrankError } from "../../base/errors.js";
import { openRegular } from "../../base/system-errors.js";
import { arrow } from "./arrow.js";
import { csv, tsv } from "./csv.js";
import { isGzip } from "./file-bytes.js";
import type { Format, ReadOptions } from "./format.js";
import { jsonFormOf, jsonLines } from "./json.js";
import { parquet } from "./parquet.js";
import { isPipe } from "./pipe.js";
import { markdown, plain } from "./plain-text.js";
import { readUtf8 } from "./utf8.js";

const FORMATS: Format[] = [jsonLines, csv, tsv, plain, markdown, parquet, arrow];

/**
 * Codecs that writers add to the name of a file whose format compresses within: texts.parquet.gzip is not packed as a
 * whole.
 */
const CODEC = /\.(gzip|gz|snappy|zstd|zst|brotli|lz4)$/i;

/** ".jsonl" of train.jsonl, ".jsonl.gz" of train.jsonl.gz; lower case. */
function extensionOf(file: string): string {
  const inner = file.replace(CODEC, "");
  return (extname(inner) + file.slice(inner.length)).toLowerCase();
}

function find(extension: string): Format | undefined {
  const inner = extension.replace(CODEC, "");
  const isPacked = inner !== extension;
  return FORMATS.find(
    (format) => format.extensions.includes(inner) && (!isPacked || !format.gzip || isGzip(extension)),
  );
}

/** A file's extension without its packing's, .jsonl of train.jsonl.gz; undefined where it cannot be read. */
export function dataExtension(file: string): string | undefined {
  const extension = extensionOf(basename(file));
  return find(extension) && extension.replace(CODEC, "");
}

/** All extensions of the format that has `extension`. */
export function extensionsBeside(extension: string): string[] {
  return find(extension)!.extensions;
}

/** The extensions that can be read, for an error. */
export function knownExtensions(): string {
  const names = (gzip: boolean) => FORMATS.filter((f) => f.gzip === gzip).flatMap(({ extensions }) => extensions);
  return [`${names(true).join(", ")} (each also with .gz)`, ...names(false)].join(", ");
}

/** An object or an array begins so, which a line of text hardly does. */
const JSON_START = /^\s*(\{\s*["}]|\[\s*[[{"\]])/;
/** Enough to tell. */
const START_CHARACTERS = 64;

/** The format of a pipe without a telling name: JSON, else plain text. */
async function pipeFormat(file: string, options: ReadOptions): Promise<Format> {
  let start = "";
  for await (const chunk of readUtf8(file)) {
    start += chunk.toString("utf8");
    if (start.trimStart().length >= START_CHARACTERS) break;
  }
  return JSON_START.test(start) || options.jsonField !== undefined ? jsonFormOf(file, options) : plain;
}

/** @throws LowrankError E_FILE_MISSING, E_FILE, E_DATA_FORMAT, E_GZIP */
export async function formatOf(file: string, options: ReadOptions): Promise<Format> {
  if (!isPipe(file)) closeSync(openRegular(file, "Data file"));
  const extension = extensionOf(file);
  const format = find(extension);
  if (format === undefined && isPipe(file)) return pipeFormat(file, options);
  if (format === undefined) {
    const found = extension === "" ? "has no extension" : `has the extension ${extension}`;
    throw new LowrankError(
      "E_DATA_FORMAT",
      `Data file ${file} ${found}, expected a file with one of ${knownExtensions()}.`,
      file,
    );
  }
  return format === jsonLines ? jsonFormOf(file, options) : format;
}
