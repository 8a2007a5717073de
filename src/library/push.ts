// Adapters to the hub, for programs.

import type { Pushed } from "../hub/index.js";
import { hubTarget, pushAdapter } from "../setup/push.js";
import { checkPath, pushOptions } from "./arguments.js";

/** Options under the names of `lowrank push`. */
export interface PushToHubOptions {
  /** Whether a repository that is made is private; default as its owner's settings say. */
  hub_private_repo?: boolean | undefined;
  /** In place of HF_TOKEN and the token file. */
  hub_token?: string | undefined;
  /** The base's name on the hub, where adapter_config.json names a folder of this machine. */
  base_model?: string | undefined;
  revision?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Told how far the upload is, in bytes. */
  on_upload?: ((upload: { done: number; total: number }) => void) | undefined;
}

/**
 * Pushes an adapter's folder to a repository of the hub, which is made where there is none.
 * @param name OWNER/NAME, or NAME of the token's user
 * @throws LowrankError E_ARGUMENT, E_USAGE, E_HUB_..., E_PUSH_PRIVATE, E_FILE_MISSING; or the signal's reason
 */
export async function pushToHub(folder: string, name: string, options: PushToHubOptions = {}): Promise<Pushed> {
  checkPath(folder, "pushToHub", "the adapter's folder");
  checkPath(name, "pushToHub", "the repository");
  const { signal, on_upload, base_model, revision, ...hub } = pushOptions(options);
  const target = await hubTarget({ ...hub, hub_model_id: name }, signal, "hub_token");
  const warn = (message: string) => process.emitWarning(message);
  const onProgress = on_upload && ((done: number, total: number) => on_upload({ done, total }));
  return pushAdapter(folder, target, { base_model, revision, signal, onProgress, warn });
}
