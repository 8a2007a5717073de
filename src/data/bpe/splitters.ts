// tokenizer.json's pre-tokenizers as regular expressions of JavaScript.
import { isObject } from "../../base/json.js";

/** Cuts a text into pieces that are tokenised one by one. */
export type Splitter = (text: string) => string[];

/** GPT-2's: ByteLevel splits by it with `use_regex`. */
export const BYTE_LEVEL = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * A pattern of the package's engine (Oniguruma) in JavaScript's syntax, null where it uses more than is known to mean the
 * same: letters, digits, classes, groups, quantifiers, look-ahead. White space is another set in JavaScript, and
 * `(?i:...)` is spelled out.
 */
export function translate(pattern: string): string | null {
  let out = "";
  let inClass = false;
  /** The open groups; true where the group ignores case. */
  const groups: boolean[] = [];
  const ignoreCase = () => groups.includes(true);
  for (let at = 0; at < pattern.length; at++) {
    const rest = pattern.slice(at);
    const special = /^\\([pP])\{(L|N|M|P|S|Lu|Ll|Lt|Lm|Lo)\}/.exec(rest);
    const char = pattern[at]!;
    if (special) {
      out += special[0];
      at += special[0].length - 1;
    } else if (char === "\\") {
      const escaped = pattern[++at];
      if (escaped === "s") out += "\\p{White_Space}";
      else if (escaped === "S") out += "\\P{White_Space}";
      else if (escaped !== undefined && /[rnt]/.test(escaped)) out += `\\${escaped}`;
      else if (escaped !== undefined && /[[\](){}.*+?^$|/\\-]/.test(escaped)) out += `\\${escaped}`;
      else return null;
    } else if (inClass) {
      if (char === "]") inClass = false;
      // A class within a class, or an intersection of two.
      else if (char === "[" || rest.startsWith("&&")) return null;
      else if (ignoreCase()) return null;
      out += char;
    } else if (char === "[") {
      inClass = true;
      out += char;
      if (pattern[at + 1] === "^") out += pattern[++at];
      if (pattern[at + 1] === "]") return null;
    } else if (char === "(") {
      const group = /^\((\?:|\?i:|\?!|\?=)?/.exec(rest)!;
      if (group[1] === undefined && pattern[at + 1] === "?") return null;
      groups.push(group[1] === "?i:");
      out += group[1] === "?!" || group[1] === "?=" ? group[0] : "(?:";
      at += group[0].length - 1;
    } else if (char === ")") {
      if (groups.pop() === undefined) return null;
      out += char;
    } else if (char === "." || char === "^" || char === "$") {
      return null;
    } else if (/[*+?}]/.test(char) && pattern[at + 1] === "+") {
      // Possessive.
      return null;
    } else if (ignoreCase() && /[a-z]/i.test(char)) {
      out += bothCases(char);
    } else {
      out += char;
    }
  }
  return inClass || groups.length > 0 ? null : out;
}

/** A Latin letter in both cases, with the other letters that Unicode folds to it: long s and the Kelvin sign. */
function bothCases(letter: string): string {
  const other: Record<string, string> = { s: "\\u017F", k: "\\u212A" };
  const lower = letter.toLowerCase();
  return `[${lower}${lower.toUpperCase()}${other[lower] ?? ""}]`;
}

/** How a pre-tokenizer cuts: matches of `source` and the texts between them, in order. */
export interface Cut {
  source: string;
  /** Whether nothing lies between the matches. */
  covers: boolean;
}

/** Digits: each alone, or those side by side together. */
export function digitsCut(single: boolean): Cut {
  return { source: `${single ? "\\p{N}" : "\\p{N}+"}|\\P{N}+`, covers: true };
}

export function splitter({ source, covers }: Cut): Splitter {
  const regex = new RegExp(source, "gu");
  if (covers) return (text) => text.match(regex) ?? [];
  return (text) => {
    const pieces: string[] = [];
    let end = 0;
    for (const match of text.matchAll(regex)) {
      if (match.index > end) pieces.push(text.slice(end, match.index));
      if (match[0] !== "") pieces.push(match[0]);
      end = match.index + match[0].length;
    }
    if (end < text.length) pieces.push(text.slice(end));
    return pieces;
  };
}

/** Null where one of them is not known to mean the same here. The last of them must be ByteLevel. */
export function cuts(preTokenizer: unknown): Cut[] | null {
  if (!isObject(preTokenizer)) return null;
  const list: unknown = preTokenizer.type === "Sequence" ? preTokenizer.pretokenizers : [preTokenizer];
  if (!Array.isArray(list) || list.length === 0) return null;
  const found: Cut[] = [];
  for (const [i, item] of list.entries()) {
    if (!isObject(item) || (item.type === "ByteLevel") !== (i === list.length - 1)) return null;
    if (item.type === "ByteLevel") {
      if (item.add_prefix_space !== false) return null;
      if (item.use_regex !== false) found.push({ source: translate(BYTE_LEVEL)!, covers: true });
    } else if (item.type === "Digits") {
      found.push(digitsCut(item.individual_digits === true));
    } else if (item.type === "Split") {
      const { pattern } = item;
      const source = isObject(pattern) && typeof pattern.Regex === "string" ? translate(pattern.Regex) : null;
      if (source === null || item.behavior !== "Isolated" || item.invert !== false) return null;
      found.push({ source, covers: false });
    } else {
      return null;
    }
  }
  return found;
}
