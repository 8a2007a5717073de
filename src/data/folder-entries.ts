// The entries of a folder.
import { isUtf8 } from "node:buffer";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { readError } from "../base/system-errors.js";

export interface Entry {
  name: string;
  path: string;
  kind: "file" | "folder" | "other";
  isLink: boolean;
}

/** Bytes of a name as they are printed: "caf\xe9.txt". */
function escaped(name: Buffer): string {
  return Array.from(name, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`,
  ).join("");
}

/**
 * A folder's entries, sorted by name; links are followed.
 * @param folder "" is the current one
 * @param matters names that are looked for: such a name that is no UTF-8, or is a link to nowhere, is an error; other names
 * are left out
 * @throws LowrankError E_FILE for a folder that cannot be read, E_DATA_FILES
 */
export function entriesOf(folder: string, matters: (name: string) => boolean): Entry[] {
  let found: { name: Buffer; isSymbolicLink(): boolean }[];
  try {
    found = readdirSync(folder === "" ? "." : folder, { withFileTypes: true, encoding: "buffer" });
  } catch (error) {
    throw readError(error, folder, "Data folder");
  }
  const entries = found.flatMap((entry): Entry[] => {
    const name = entry.name.toString("utf8");
    const path = folder === "" ? name : join(folder, name);
    if (!isUtf8(entry.name)) {
      if (!matters(name)) return [];
      const shown = escaped(entry.name);
      const message = `Folder ${folder || "."} holds a name that is not UTF-8: ${shown}. Rename it, or leave it out.`;
      throw new LowrankError("E_DATA_FILES", message, shown);
    }
    const isLink = entry.isSymbolicLink();
    try {
      const stats = statSync(path);
      const kind = stats.isDirectory() ? "folder" : stats.isFile() ? "file" : "other";
      return [{ name, path, kind, isLink }];
    } catch (error) {
      if (!matters(name)) return [];
      if (!isLink) throw readError(error, path, "Data file");
      const message = `Data file ${path} is a link that leads to no file or folder. Repair the link, or remove it.`;
      throw new LowrankError("E_DATA_FILES", message, path, { cause: error });
    }
  });
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}
