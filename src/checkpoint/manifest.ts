// manifest.json: size and sha256 of every other file of a checkpoint, written last.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { z } from "zod";
import { openRegular, readText } from "../base/system-errors.js";
import { sortedJson, writeTextFile } from "./files.js";

const NAME = "manifest.json";

const schema = z.object({
  version: z.literal(1),
  files: z.record(z.string(), z.object({ bytes: z.int().min(0), sha256: z.string() })),
});

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { fd: openRegular(file) })) hash.update(chunk);
  return hash.digest("hex");
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => relative(folder, join(entry.parentPath, entry.name))).sort();
}

/** Vouches for the folder's present files. @throws LowrankError E_WRITE */
export async function writeManifest(folder: string): Promise<void> {
  const files: Record<string, { bytes: number; sha256: string }> = {};
  for (const name of await filesOf(folder)) {
    const file = join(folder, name);
    files[name] = { bytes: (await stat(file)).size, sha256: await sha256(file) };
  }
  await writeTextFile(join(folder, NAME), sortedJson({ version: 1, files }));
}

/** The fault of a folder that should be a whole checkpoint, in words that follow its name; null where it has none. */
export async function checkpointProblem(folder: string): Promise<string | null> {
  try {
    const parsed = schema.safeParse(JSON.parse(readText(join(folder, NAME))));
    if (!parsed.success) return `${NAME} is not a list of files`;
    for (const [name, expected] of Object.entries(parsed.data.files)) {
      const file = join(folder, name);
      const found = await stat(file).catch(() => null);
      if (!found?.isFile()) return `${name} is missing`;
      if (found.size !== expected.bytes) return `${name} has ${found.size} bytes, expected ${expected.bytes}`;
      if ((await sha256(file)) !== expected.sha256)
        return `${name} does not hold the bytes that were written (another sha256)`;
    }
    return null;
  } catch (error) {
    if (error instanceof SyntaxError) return `${NAME} is not valid JSON`;
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "E_FILE_MISSING" ? `${NAME} is missing` : message;
  }
}
