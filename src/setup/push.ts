// Pushes of adapters to the hub: checked before a run, made after it.
import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { LowrankError } from "../base/errors.js";
import { hubName, type NamedBase, namedBase, publishedFiles } from "../checkpoint/index.js";
import {
  hubSettings,
  isRepositoryName,
  type Pushed,
  type PushTarget,
  push,
  pushTarget,
  repositoryOf,
} from "../hub/index.js";

/** Options of a push. */
export interface HubOptions {
  hub_model_id?: string | undefined;
  hub_private_repo?: boolean | undefined;
  hub_token?: string | undefined;
}

export interface PushWork {
  signal?: AbortSignal | undefined;
  warn: (message: string) => void;
  /** Bytes. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** @param token how the option of the token is written. @throws LowrankError E_USAGE, E_HUB_...; or the signal's reason */
export function hubTarget(
  o: HubOptions & { hub_model_id: string },
  signal?: AbortSignal,
  token = "--hub_token",
): Promise<PushTarget> {
  const settings = hubSettings(process.env, { token: o.hub_token, from: token });
  return pushTarget(o.hub_model_id, o.hub_private_repo, settings, { signal });
}

/**
 * The target of a run that pushes; undefined where it does not.
 * @throws LowrankError E_USAGE, E_HUB_...; or the signal's reason
 */
export async function targetOfRun(
  o: HubOptions & { push_to_hub: boolean; output_dir: string },
  signal: AbortSignal,
): Promise<PushTarget | undefined> {
  if (o.push_to_hub)
    return hubTarget({ ...o, hub_model_id: o.hub_model_id ?? basename(resolve(o.output_dir)) }, signal);
  const names = ["hub_model_id", "hub_private_repo", "hub_token"] as const;
  const given = names.find((name) => o[name] !== undefined);
  if (given === undefined) return undefined;
  throw new LowrankError("E_USAGE", `${given} needs push_to_hub.`, given);
}

/** A name that others may have of a base: of this machine's cache it is the repository. */
function baseOnHub({ named, revision }: NamedBase): NamedBase | undefined {
  const cached = hubName(named);
  if (cached !== undefined) return { named: cached };
  // Old models have no owner.
  const isName = isRepositoryName(named) || /^[\w-][\w.-]*$/.test(named);
  return isName && !existsSync(named) ? { named, revision } : undefined;
}

/** The warning that a pushed adapter names no base; undefined where the hub knows the base. @param base absolute path or name */
export function namelessBase(base: NamedBase, target: PushTarget, folder: string): string | undefined {
  if (baseOnHub(base) !== undefined) return undefined;
  return (
    `the base ${base.named} is a file or folder of this machine: ${target.name} will name no base. ` +
    `To name it: lowrank push ${folder} ${target.name} --base_model OWNER/NAME`
  );
}

/** @throws LowrankError E_USAGE */
function givenBase({ base_model, revision }: { base_model?: string | undefined; revision?: string | undefined }) {
  if (base_model === undefined) return undefined;
  const repository = repositoryOf(base_model, "model", revision);
  if (repository !== undefined) {
    const { name, revision: at } = repository;
    return { named: name, revision: at === "main" ? undefined : at };
  }
  const message = `base_model is ${base_model}, expected the base's name on the hub: OWNER/NAME.`;
  throw new LowrankError("E_USAGE", message, "base_model");
}

/**
 * The files of an adapter's folder that a push commits.
 * @throws LowrankError E_USAGE, E_PUSH_PRIVATE, E_FILE_MISSING and the errors of reading
 */
export function filesToPush(
  folder: string,
  target: PushTarget,
  o: { base_model?: string | undefined; revision?: string | undefined; warn: (message: string) => void },
) {
  const given = givenBase(o);
  const own = namedBase(folder);
  const nameless = given === undefined ? namelessBase(own, target, folder) : undefined;
  if (nameless !== undefined) o.warn(nameless);
  return publishedFiles(folder, target.name, given ?? baseOnHub(own), target.settings.token);
}

/** @throws LowrankError of `filesToPush`, E_HUB_...; or the signal's reason */
export function pushAdapter(
  folder: string,
  target: PushTarget,
  o: PushWork & { base_model?: string | undefined; revision?: string | undefined },
): Promise<Pushed> {
  const { signal, onProgress } = o;
  return push(target, filesToPush(folder, target, o), "Upload a LoRA adapter trained with lowrank", {
    signal,
    onProgress,
  });
}
