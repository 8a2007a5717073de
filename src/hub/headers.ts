// Models without their weights: files of the right size that hold their header alone, read by ranges.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { writeError } from "../base/system-errors.js";
import type { DescribedFile } from "./download.js";
import { connectionFailure } from "./failures.js";
import { partsOf } from "./http.js";
import { answerOf, type Client, fileUrl } from "./listing.js";
import type { Repository } from "./name.js";
import { persist } from "./retry.js";

/** Bytes before the header, which say its length. */
const LENGTH_BYTES = 8;
/** Enough for the headers of most models. */
const FIRST_BYTES = 1 << 18;
/** A header cannot be longer. */
const LONGEST = 100_000_000;

/** Whether a file holds weights of a model, with a header before them. The weights of an adapter are few. */
export const hasHeader = (path: string): boolean =>
  path.endsWith(".safetensors") && basename(path) !== "adapter_model.safetensors";

/** The first bytes of a file. @throws LowrankError E_HUB_... */
function beginning(
  client: Client,
  repository: Repository,
  commit: string,
  { path }: DescribedFile,
  count: number,
): Promise<Buffer> {
  const url = fileUrl(client.settings, repository, commit, path);
  return persist(
    async () => {
      const asked = { headers: { range: `bytes=0-${count - 1}` } };
      // A server that knows no ranges sends all, of which the rest is given up.
      const answer = await answerOf(client, repository, url, asked, (status) => status === 206 || status === 200, path);
      const parts: Buffer[] = [];
      let length = 0;
      try {
        for await (const part of partsOf(answer)) {
          parts.push(part);
          length += part.length;
          if (length >= count) break;
        }
      } catch (error) {
        client.signal?.throwIfAborted();
        throw connectionFailure(client.settings, repository, error);
      }
      if (length >= count) return Buffer.concat(parts).subarray(0, count);
      throw connectionFailure(client.settings, repository, { code: `${path} ends after ${length} of ${count} bytes` });
    },
    client.signal,
    client.wait,
  );
}

/** A file's header with its length. What is no header is left to the reader of such files. */
async function headerOf(client: Client, repository: Repository, commit: string, file: DescribedFile): Promise<Buffer> {
  const first = await beginning(client, repository, commit, file, Math.min(FIRST_BYTES, file.size));
  if (first.length < LENGTH_BYTES) return first;
  const length = LENGTH_BYTES + Number(first.readBigUInt64LE(0));
  if (length <= first.length || length > Math.min(LONGEST, file.size)) return first.subarray(0, length);
  return beginning(client, repository, commit, file, length);
}

/** Folders of models without their weights. */
const hollow = new Set<string>();

/** Whether a folder has the headers of its weights alone. */
export const isHollow = (folder: string): boolean => hollow.has(folder);

/**
 * A folder with links to the files of a snapshot. It is removed when the process ends.
 * @param names of the files, within the snapshot
 */
function linkedFolder(snapshot: string, names: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "lowrank-headers-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  for (const name of names) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    symlinkSync(join(snapshot, name), join(folder, name));
  }
  return folder;
}

export interface HollowModel {
  repository: Repository;
  commit: string;
  snapshot: string;
  /** Files that the snapshot has. */
  present: string[];
  /** Files whose headers are read. */
  weights: DescribedFile[];
}

/**
 * A folder like a snapshot, whose weights are headers, and zeros that take no room.
 * @throws LowrankError E_HUB_..., E_WRITE; or the signal's reason
 */
export async function hollowFolder(client: Client, model: HollowModel): Promise<string> {
  const { repository, commit, snapshot, present, weights } = model;
  const headers = new Map<DescribedFile, Buffer>();
  for (const file of weights) headers.set(file, await headerOf(client, repository, commit, file));
  try {
    const folder = linkedFolder(snapshot, present);
    for (const [{ path, size }, header] of headers) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), header);
      truncateSync(join(folder, path), size);
    }
    hollow.add(folder);
    return folder;
  } catch (error) {
    throw writeError(error, tmpdir());
  }
}
