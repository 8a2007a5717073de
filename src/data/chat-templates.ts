// The chat templates beside a tokenizer, as transformers finds them, and the special tokens that they write.
import { existsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { isObject } from "../base/json.js";
import { suggestion } from "../base/nearest.js";
import { readText } from "../base/system-errors.js";
import { ChatTemplate, TemplateError } from "../chat/index.js";
import type { ChatTemplates } from "./render/index.js";
import { NAMED_TOKENS, namedToken, readIfThere, readSettingsFiles, tokenText } from "./special-tokens.js";
import { otherTemplates, TEMPLATE_EXTENSION, TEMPLATE_FOLDER } from "./tokenizer-files.js";
import { TOKENIZER_CONFIG } from "./vocabulary-files.js";

/** The file of a tokenizer's chat template. */
export const TEMPLATE_FILE = "chat_template.jinja";

/** A template's text, and the file that it stands in. */
interface Source {
  text: string;
  file: string;
}

/**
 * Templates by name, `default` being the one without. Files of their own go before tokenizer_config.json.
 * @param folder of the tokenizer, or a GGUF file
 * @throws LowrankError E_FILE, E_JSON, E_UTF8
 */
export function readChatTemplates(folder: string): Map<string, Source> {
  const found = new Map<string, Source>();
  const add = (name: string, file: string) => found.set(name, { text: readText(file, "Chat template"), file });
  if (existsSync(join(folder, TEMPLATE_FILE))) add("default", join(folder, TEMPLATE_FILE));
  for (const name of otherTemplates(folder))
    add(basename(name, TEMPLATE_EXTENSION), join(folder, TEMPLATE_FOLDER, name));
  if (found.size > 0) return found;
  const file = join(folder, TOKENIZER_CONFIG);
  const { chat_template: given } = readIfThere(file);
  // Several by name, as older folders have them.
  for (const one of Array.isArray(given) ? given : [{ name: "default", template: given }]) {
    if (!isObject(one)) continue;
    const { name, template } = one;
    if (typeof name === "string" && typeof template === "string") found.set(name, { text: template, file });
  }
  return found;
}

/** Templates as they lie beside a tokenizer. */
export type StoredTemplates = Pick<ChatTemplates, "default" | "tool_use">;

/**
 * The templates that an adapter's folder has, where they are not those of its base's tokenizer: it was trained by them.
 * @throws LowrankError E_FILE, E_JSON, E_UTF8
 */
export function adapterTemplates(adapter: string, tokenizer: { file: string }): StoredTemplates | undefined {
  const [own, usual] = [adapter, dirname(tokenizer.file)].map(readChatTemplates) as [
    Map<string, Source>,
    Map<string, Source>,
  ];
  const text = own.get("default")?.text;
  if (text === undefined || text === usual.get("default")?.text) return undefined;
  return { default: text, tool_use: own.get("tool_use")?.text };
}

/** Special tokens by name, also tokens that only this model has. */
function specialTokens(folder: string): Record<string, string> {
  const files = readSettingsFiles(folder);
  const extra = isObject(files.additional) ? Object.entries(files.additional) : [];
  const named = [...NAMED_TOKENS.map((role) => [role, namedToken(files, role)] as const), ...extra];
  return Object.fromEntries(
    named.flatMap(([name, token]) => (tokenText(token) === undefined ? [] : [[name, tokenText(token)!]])),
  );
}

/** The local date, as YYYY-MM-DD. */
function today(): string {
  const now = new Date();
  const two = (part: number) => String(part).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}

export interface FoundTemplates {
  templates: ChatTemplates;
  /** Where they stand, for people. */
  where: string;
}

/**
 * The templates that conversations are rendered by; null where there are none.
 * @param wanted a template's name, or a file or a tokenizer's folder with one; undefined: the tokenizer's own
 * @param folder of the tokenizer. @param date that templates are told which ask for the time, as YYYY-MM-DD; default today
 * @throws LowrankError E_CHAT_TEMPLATE and the errors of reading
 */
export function findChatTemplates(wanted: string | undefined, folder: string, date = today()): FoundTemplates | null {
  const own = readChatTemplates(folder);
  const tokens = specialTokens(folder);
  const names = [...own.keys()];
  const use = (usual: Source, forTools?: Source): FoundTemplates => {
    for (const source of forTools ? [usual, forTools] : [usual]) check(source);
    const tool_use = forTools && { tool_use: forTools.text };
    const asksTime = /\bstrftime_now\b/.test(usual.text + (forTools?.text ?? ""));
    const templates = { default: usual.text, ...tool_use, specialTokens: tokens, ...(asksTime && { date }) };
    return { templates, where: usual.file };
  };
  const usualOf = (from: ReadonlyMap<string, Source>, place: string) => {
    const usual = from.get("default");
    if (usual) return use(usual, from.get("tool_use"));
    const message = `${place} has several chat templates and none called default. Name one: --chat_template ${[...from.keys()].join(" or ")}.`;
    throw new LowrankError("E_CHAT_TEMPLATE", message, place);
  };
  if (wanted === undefined) return own.size === 0 ? null : usualOf(own, folder);
  const named = own.get(wanted);
  if (named) return use(named);
  const isThere = existsSync(wanted);
  if (isThere && statSync(wanted).isDirectory()) {
    const others = readChatTemplates(wanted);
    if (others.size > 0) return usualOf(others, wanted);
    throw new LowrankError("E_CHAT_TEMPLATE", `--chat_template ${wanted}: the folder has no chat template.`, wanted);
  }
  if (isThere) return use({ text: readText(wanted, "Chat template"), file: wanted });
  const known = names.length > 0 ? `a template of the tokenizer (${names.join(", ")}) or a file` : "a file";
  const message = `--chat_template ${wanted}: there is no such file${suggestion(wanted, names)}. Expected ${known}.`;
  throw new LowrankError("E_CHAT_TEMPLATE", message, wanted);
}

/** @throws LowrankError E_CHAT_TEMPLATE naming file and line of a fault */
function check({ text, file }: Source): void {
  try {
    new ChatTemplate(text);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const place = error.line === undefined ? "" : `, line ${error.line} of the template`;
    throw new LowrankError("E_CHAT_TEMPLATE", `Chat template ${file}${place}: ${error.message}.`, file, {
      cause: error,
    });
  }
}
