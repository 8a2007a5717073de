// The settings of wandb's own client, read from the environment and netrc by its rules.
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { LowrankError } from "../../../base/errors.js";

export interface WandbSettings {
  mode: "online" | "offline" | "disabled";
  /** URL without a slash at its end. */
  baseUrl: string;
  /** Sent to the base URL's host only, and never shown. */
  apiKey: string | undefined;
  project: string;
  entity: string | undefined;
  name: string | undefined;
  runId: string | undefined;
  resume: string | undefined;
  /** Parent of the folder `wandb`; default the run's folder. */
  dir: string | undefined;
  tags: string[];
  notes: string | undefined;
  group: string | undefined;
  jobType: string | undefined;
}

/** The options of a run about W&B. */
export interface WandbOptions {
  wandb_project: string | undefined;
  wandb_entity: string | undefined;
  run_name: string | undefined;
}

type Environment = Record<string, string | undefined>;

const MODES: Record<string, WandbSettings["mode"]> = {
  online: "online",
  run: "online",
  shared: "online",
  offline: "offline",
  dryrun: "offline",
  disabled: "disabled",
};

const isTrue = (value: string | undefined) => /^(1|on|y|yes|true)$/i.test(value ?? "");

/** The password of a host in a netrc file. */
export function netrcPassword(text: string, host: string): string | undefined {
  const words = text.replace(/^\s*#.*$/gm, "").split(/\s+/);
  const at = words.findIndex((word, i) => word === "machine" && words[i + 1] === host);
  if (at < 0) return undefined;
  const end = words.findIndex((word, i) => i > at && (word === "machine" || word === "default"));
  const entry = words.slice(at, end < 0 ? undefined : end);
  const password = entry.indexOf("password");
  return password < 0 ? undefined : entry[password + 1];
}

function netrcKey(host: string, env: Environment): string | undefined {
  const home = env.HOME ?? homedir();
  const files = env.NETRC ? [env.NETRC.replace(/^~(?=\/)/, home)] : [join(home, ".netrc"), join(home, "_netrc")];
  for (const file of files.filter((each) => existsSync(each))) {
    try {
      const key = netrcPassword(readFileSync(file, "utf8"), host);
      if (key) return key;
    } catch {}
  }
  return undefined;
}

function baseUrlOf(env: Environment): string {
  const url = (env.WANDB_BASE_URL || "https://api.wandb.ai").replace(/\/+$/, "");
  if (!URL.canParse(url) || !/^https?:/.test(url)) {
    throw new LowrankError("E_USAGE", "WANDB_BASE_URL is no URL: expected one such as https://api.wandb.ai.");
  }
  if (new URL(url).password !== "") {
    throw new LowrankError("E_USAGE", "WANDB_BASE_URL holds a password, which messages would show: use WANDB_API_KEY.");
  }
  return url;
}

/** The pages for people: they are on another host than the API of W&B itself. */
export const pagesOf = (baseUrl: string) => baseUrl.replace("//api.wandb.ai", "//wandb.ai");

/** @throws LowrankError E_USAGE where a run could not report to W&B, never with the key in it */
export function wandbSettings(o: WandbOptions, env: Environment = process.env): WandbSettings {
  const named = env.WANDB_MODE || (isTrue(env.WANDB_DISABLED) ? "disabled" : "online");
  const mode = MODES[named.toLowerCase()];
  if (!mode) throw new LowrankError("E_USAGE", `WANDB_MODE is ${named}: expected online, offline or disabled.`);
  const baseUrl = baseUrlOf(env);
  const apiKey = env.WANDB_API_KEY?.trim() || netrcKey(new URL(baseUrl).hostname, env);
  if (mode === "online" && !apiKey) {
    throw new LowrankError(
      "E_USAGE",
      `Reporting to W&B needs an API key: copy it from ${pagesOf(baseUrl)}/authorize into WANDB_API_KEY, or run \`wandb login\`. With WANDB_MODE=offline the run is written to a folder that \`wandb sync\` sends later.`,
    );
  }
  if (apiKey && !/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new LowrankError("E_USAGE", "The API key of W&B holds blanks or other odd characters.");
  }
  const runId = env.WANDB_RUN_ID || undefined;
  if (runId && /[/\\#?%:]/.test(runId)) {
    throw new LowrankError("E_USAGE", "WANDB_RUN_ID may not hold any of / \\ # ? % :.");
  }
  return {
    ...{ mode, baseUrl, apiKey, runId },
    project: o.wandb_project ?? (env.WANDB_PROJECT || "lowrank"),
    entity: o.wandb_entity ?? (env.WANDB_ENTITY || undefined),
    name: o.run_name ?? (env.WANDB_NAME || undefined),
    resume: env.WANDB_RESUME || undefined,
    dir: env.WANDB_DIR || undefined,
    tags: (env.WANDB_TAGS ?? "")
      .split(",")
      .map((tag) => tag.trim())
      .filter(Boolean),
    notes: env.WANDB_NOTES || undefined,
    group: env.WANDB_RUN_GROUP || undefined,
    jobType: env.WANDB_JOB_TYPE || undefined,
  };
}
