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
  /** Path within the repository, where a folder of it is meant. */
  folder?: string | undefined;
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

/** A path as huggingface_hub's file system writes it: hf://OWNER/NAME@REVISION/FOLDER, of data sets hf://datasets/OWNER/NAME. */
const URL = /^hf:\/\/(datasets\/)?([^/@]+\/[^/@]+)(?:@(refs\/[^/]+\/[^/]+|[^/]+))?(?:\/(.*))?$/;

/** A part of a path that leads out of it, or nowhere. */
const isOdd = (part: string) => ["", ".", ".."].includes(part);

function ofUrl(url: string, type: RepositoryType, otherwise: string): Repository {
  const [, datasets, name = "", revision = otherwise, path = ""] = URL.exec(url) ?? [];
  const folder = path.replace(/\/$/, "");
  const wanted = revision.replaceAll("%2F", "/");
  const isRight = isRepositoryName(name) && REVISION.test(wanted) && (folder === "" || !folder.split("/").some(isOdd));
  const isType = (datasets === undefined ? "model" : "dataset") === type;
  if (isRight && isType) return { type, name, revision: wanted, ...(folder && { folder }) };
  const expected =
    type === "model" ? "hf://OWNER/NAME/FOLDER or hf://OWNER/NAME@REVISION/FOLDER" : "hf://datasets/OWNER/NAME";
  throw new LowrankError("E_USAGE", `${url} names no repository of a ${type}: expected ${expected}.`);
}

/**
 * The repository that a name OWNER/NAME or OWNER/NAME@REVISION means, or a path that begins with hf://. The name of an existing file or folder always
 * means that file or folder.
 * @param revision where the name has none
 * @returns undefined where it is a path, or can only be one
 * @throws LowrankError E_USAGE for a malformed revision
 */
export function repositoryOf(named: string, type: RepositoryType, revision = "main"): Repository | undefined {
  if (named.startsWith("hf://")) return ofUrl(named, type, revision);
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
export function shownName({ name, revision, folder }: Repository): string {
  const shown = revision === "main" ? name : `${name}@${revision}`;
  return folder === undefined ? shown : `${folder} of ${shown}`;
}

/** Path of its page: names of data sets have a prefix. */
export function pagePath({ type, name }: Repository): string {
  return type === "dataset" ? `datasets/${name}` : name;
}
