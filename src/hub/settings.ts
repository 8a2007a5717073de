// The settings of huggingface_hub: where the hub is, where its cache lies, and who asks.
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { LowrankError } from "../base/errors.js";
import { readError } from "../base/system-errors.js";

/** The settings that Python's huggingface_hub reads from the environment, read by its rules. */
export interface HubSettings {
  /** URL without a slash at its end. */
  endpoint: string;
  /** Folder of the cache. */
  cache: string;
  /** Sent to the endpoint's host only, and never shown. */
  token: string | undefined;
  /** Where the token comes from, for people. */
  tokenFrom: string;
  offline: boolean;
  /** After so long without a byte a connection is taken for dead. */
  timeoutMs: number;
  symlinks: boolean;
}

type Environment = Record<string, string | undefined>;

const isTrue = (value: string | undefined) => /^(1|on|yes|true)$/i.test(value ?? "");

function expanded(path: string, env: Environment): string {
  const named = path.replace(/\$(\w+)|\$\{(\w+)\}/g, (whole, bare, braced) => env[bare ?? braced] ?? whole);
  return resolve(named.replace(/^~(?=\/|$)/, env.HOME ?? homedir()));
}

/** A token is one word; quotes and line ends around it are none of it. */
function checkedToken(text: string | undefined, from: string): string | undefined {
  const token = text?.trim();
  if (!token) return undefined;
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new LowrankError("E_HUB_ACCESS", `${from} is no token of the hub: it holds blanks or other odd characters.`);
}

function readToken(file: string): string | undefined {
  try {
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  } catch (error) {
    throw readError(error, file, "Token file");
  }
}

const homeFolder = (env: Environment) =>
  expanded(env.HF_HOME || join(env.XDG_CACHE_HOME || "~/.cache", "huggingface"), env);

/** Folder of the cache. */
export function hubCache(env: Environment = process.env): string {
  return expanded(env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(homeFolder(env), "hub"), env);
}

/**
 * @param given a token that goes before the environment's, and its name for people
 * @throws LowrankError E_HUB_ACCESS, E_FILE, E_USAGE; never with a token in it
 */
export function hubSettings(
  env: Environment = process.env,
  given: { token?: string | undefined; from: string } = { from: "" },
): HubSettings {
  const home = homeFolder(env);
  const cache = hubCache(env);
  const file = expanded(env.HF_TOKEN_PATH || join(home, "token"), env);
  const variable = env.HF_TOKEN ? "HF_TOKEN" : "HUGGING_FACE_HUB_TOKEN";
  const named = checkedToken(given.token, given.from);
  const own = named ?? checkedToken(env[variable], variable);
  const tokenFrom = named !== undefined ? given.from : own === undefined ? file : variable;
  const implicit = own === undefined && !isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN);
  const endpoint = (env.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, "");
  if (!URL.canParse(endpoint) || !/^https?:/.test(endpoint)) {
    throw new LowrankError("E_USAGE", "HF_ENDPOINT is no URL: expected one such as https://huggingface.co.");
  }
  if (new URL(endpoint).password !== "") {
    throw new LowrankError(
      "E_USAGE",
      "HF_ENDPOINT holds a password, which messages would show: give a token with HF_TOKEN.",
    );
  }
  return {
    endpoint,
    cache,
    token: implicit ? checkedToken(readToken(file), file) : own,
    tokenFrom,
    offline: isTrue(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE),
    timeoutMs: 1000 * (Number(env.HF_HUB_DOWNLOAD_TIMEOUT) || 10),
    symlinks: !isTrue(env.HF_HUB_DISABLE_SYMLINKS),
  };
}
