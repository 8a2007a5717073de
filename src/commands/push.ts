import { bytes, count } from "../base/text.js";
import type { CommandOptions } from "../config/index.js";
import { uploadSize } from "../hub/index.js";
import { filesToPush, hubTarget, pushAdapter } from "../setup/push.js";
import { Progress, showsBar } from "../tracking/index.js";
import { uploading } from "./downloading.js";
import { STDERR } from "./loading.js";
import { warn } from "./warn.js";

/** `lowrank push`. */
export async function run(o: CommandOptions<"push">): Promise<void> {
  const { adapter, base_model, revision } = o;
  const tell = (object: object, line: string) => process.stdout.write(`${o.json ? JSON.stringify(object) : line}\n`);
  const target = await hubTarget(o);
  const { name, isThere, settings } = target;
  if (o.dry_run) {
    const files = filesToPush(adapter, target, { base_model, revision, warn });
    const size = files.reduce((sum, file) => sum + uploadSize(file), 0);
    const paths = files.map(({ path }) => path);
    const how = isThere ? "" : ", which would be made";
    const line = `would push ${count(paths.length)} files (${bytes(size)}) to ${settings.endpoint}/${name}${how}: ${paths.join(", ")}`;
    tell({ name, exists: isThere, files: paths, bytes: size }, line);
    return;
  }
  const progress = await Progress.open(showsBar());
  try {
    const shown = uploading(progress, STDERR);
    const { url, commit } = await pushAdapter(adapter, target, { base_model, revision, warn, onProgress: shown });
    progress.stop();
    tell({ name, url, commit }, `pushed ${adapter} to ${url}`);
  } finally {
    progress.stop();
  }
}
