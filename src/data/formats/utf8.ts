// A text file's bytes as UTF-8 without a byte order mark, and the kind of a file that is no text.
import { LowrankError } from "../../base/errors.js";
import { readChunks } from "./file-bytes.js";
import { isPipe } from "./pipe.js";

interface Kind {
  what: string;
  /** The first bytes, in hexadecimal. */
  begins: string[];
  advice: string;
}

const UNPACK = "Unpack it, or compress it with gzip.";
const KINDS: Kind[] = [
  { what: "compressed with gzip", begins: ["1f8b08"], advice: "Let its name end in .gz." },
  { what: "a zip archive or a workbook (.xlsx)", begins: ["504b0304"], advice: "Unpack it, or save it as CSV." },
  { what: "an old Excel workbook", begins: ["d0cf11e0"], advice: "Save it as CSV." },
  { what: "compressed with zstd", begins: ["28b52ffd"], advice: UNPACK },
  { what: "compressed with bzip2", begins: ["425a6839314159"], advice: UNPACK },
  { what: "compressed with xz", begins: ["fd377a585a00"], advice: UNPACK },
  { what: "a Parquet file", begins: ["50415231"], advice: "Let its name end in .parquet." },
  { what: "an Arrow file", begins: ["4152524f5731"], advice: "Let its name end in .arrow." },
  { what: "a PDF document", begins: ["255044462d"], advice: "Save its text." },
  { what: "UTF-32", begins: ["fffe0000", "0000feff"], advice: "Save it as UTF-8." },
];

const UTF8_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const UTF16 = { fffe: "utf-16le", feff: "utf-16be" } as Record<string, string>;
/** Bytes of a file that tell its kind. */
const HEAD_BYTES = 8;

const TO_TEXT =
  "Only text is read from a pipe: unpack it on the way, as <(zcat texts.jsonl.gz) does, or write it into a file.";

function notText(file: string, { what, advice: forFiles }: Omit<Kind, "begins">): LowrankError {
  const advice = isPipe(file) ? TO_TEXT : forFiles;
  return new LowrankError("E_DATA_FORMAT", `Data file ${file} is ${what}, not text in UTF-8. ${advice}`, file);
}

/** @throws LowrankError E_DATA_FORMAT */
function checkText(head: Buffer, file: string): void {
  const hex = head.toString("hex", 0, HEAD_BYTES);
  const kind = KINDS.find(({ begins }) => begins.some((begin) => hex.startsWith(begin)));
  if (kind) throw notText(file, kind);
  if (/^(00(?!00)..|(?!00)..00){2}/.test(hex)) {
    const what = "UTF-16 without a byte order mark, or another file with zero bytes";
    throw notText(file, { what, advice: "Save it as UTF-8." });
  }
}

/** The same text in UTF-8. @throws LowrankError E_UTF8 */
async function* fromUtf16(chunks: AsyncIterable<Buffer>, encoding: string, file: string): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  const decode = (bytes?: Buffer) => {
    try {
      return Buffer.from(decoder.decode(bytes, { stream: bytes !== undefined }));
    } catch (error) {
      const message = `${file} begins as UTF-16, and is not valid UTF-16. Save the file as UTF-8.`;
      throw new LowrankError("E_UTF8", message, file, { cause: error });
    }
  };
  for await (const chunk of chunks) yield decode(chunk);
  yield decode();
}

/** The chunks; the first one holds a file's head. */
async function* withHead(file: string): AsyncGenerator<Buffer> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of readChunks(file)) {
    if (head === undefined) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < HEAD_BYTES) continue;
    yield head;
    head = undefined;
  }
  if (head) yield head;
}

/**
 * A file's text in UTF-8, a chunk at a time. UTF-16 is known by its byte order mark. Whether the text is valid UTF-8
 * is left to the callers that know the line.
 * @throws LowrankError E_FILE_MISSING, E_FILE, E_GZIP, E_DATA_FORMAT, E_UTF8
 */
export async function* readUtf8(file: string): AsyncGenerator<Buffer, void, undefined> {
  const chunks = withHead(file);
  try {
    const { value: head = Buffer.alloc(0) } = await chunks.next();
    checkText(head, file);
    async function* all() {
      yield head;
      yield* chunks;
    }
    const utf16 = UTF16[head.toString("hex", 0, 2)];
    if (utf16) yield* fromUtf16(all(), utf16, file);
    else {
      yield head.subarray(0, 3).equals(UTF8_MARK) ? head.subarray(3) : head;
      yield* chunks;
    }
  } finally {
    // A reader that stops at the head has not come to them: the file would stay open.
    await chunks.return(undefined);
  }
}

/** The error of bytes that are not UTF-8. @param place the file, with line or row */
export function notUtf8(place: string, file: string): LowrankError {
  const message = `${place}: not valid UTF-8. Save the file as UTF-8, such as by iconv -f WINDOWS-1252 -t UTF-8.`;
  return new LowrankError("E_UTF8", message, file);
}
