// Names of repositories.
import { existsSync } from "node:fs";
import { LowrankError } from "../base/errors.js";

export type RepositoryType = "model" | "dataset";

export interface Repository {
  type: RepositoryType;
  /** OWNER/NAME. */
  name: string;
  /** Branch, tag, commit or a reference such as refs/pr/1. */
  revision: string;
}

const NAME = /^(?![\w.-]*(?:--|\.\.))[\w-][\w.-]*\/(?![\w.-]*(?:--|\.\.))[\w-][\w.-]*$/;
const REVISION = /^(?!.*(?:\.\.|\/\/|\/$))[\w-][\w./+-]*$/;

/** Endings of files: a path with one of them is never a name. */
const FILE = /\.(gguf|safetensors|json|bin)$/i;

/** Whether a text may be OWNER/NAME. */
export const isRepositoryName = (text: string): boolean => NAME.test(text) && !FILE.test(text);

/** The folder of a repository in the cache. */
export const cacheFolderOf = ({ type, name }: Pick<Repository, "type" | "name">): string =>
  `${type}s--${name.replace("/", "--")}`;

/**
 * The repository that a name OWNER/NAME or OWNER/NAME@REVISION means. The name of an existing file or folder always
 * means that file or folder.
 * @param revision where the name has none
 * @returns undefined where it is a path, or can only be one
 * @throws LowrankError E_USAGE for a malformed revision
 */
export function repositoryOf(named: string, type: RepositoryType, revision = "main"): Repository | undefined {
  if (existsSync(named)) return undefined;
  const at = named.indexOf("@");
  const name = at < 0 ? named : named.slice(0, at);
  if (!isRepositoryName(name)) return undefined;
  const wanted = at < 0 ? revision : named.slice(at + 1);
  if (REVISION.test(wanted)) return { type, name, revision: wanted };
  const message = `${JSON.stringify(wanted)} is no revision of ${name}: expected a branch, a tag or a commit.`;
  throw new LowrankError("E_USAGE", message, "revision");
}

/** The name as people write it. */
export function shownName({ name, revision }: Repository): string {
  return revision === "main" ? name : `${name}@${revision}`;
}

/** Path of its page: names of data sets have a prefix. */
export function pagePath({ type, name }: Repository): string {
  return type === "dataset" ? `datasets/${name}` : name;
}
