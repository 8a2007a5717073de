// A template as tokens, with trim_blocks and lstrip_blocks on.
import { SPACE, TemplateError } from "./values.js";

export type TokenKind =
  | "data"
  | "block"
  | "endblock"
  | "variable"
  | "endvariable"
  | "name"
  | "text"
  | "int"
  | "float"
  | "operator"
  | "end";
export interface Token {
  kind: TokenKind;
  text: string;
  line: number;
}

const BEGIN = new RegExp(
  `\\{%(?<raw>[-+]?)[${SPACE}]*raw[${SPACE}]*(?<rawEnd>-%\\}[${SPACE}]*|%\\})|\\{(?<open>[%{#])(?<sign>[-+]?)`,
  "g",
);
const sticky = (source: string) => new RegExp(source, "yu");
const BLANK = sticky(`[${SPACE}]+`);
const FLOAT = sticky("(?<!\\.)(?:\\d+_)*\\d+(?:(?:\\.(?:\\d+_)*\\d+)?[eE][+-]?(?:\\d+_)*\\d+|\\.(?:\\d+_)*\\d+)");
const INT = sticky("0[bB](?:_?[0-1])+|0[oO](?:_?[0-7])+|0[xX](?:_?[\\da-fA-F])+|[1-9](?:_?\\d)*|0(?:_?0)*");
const NAME = sticky("[\\p{L}\\p{Nl}_][\\p{L}\\p{Nl}\\p{Mn}\\p{Mc}\\p{Nd}\\p{Pc}]*");
const TEXT = sticky("'(?:[^'\\\\]|\\\\[\\s\\S])*'|\"(?:[^\"\\\\]|\\\\[\\s\\S])*\"");
const OPERATOR = sticky("//|\\*\\*|==|!=|>=|<=|[-+*/%~|.,:;()\\[\\]{}<>=]");
const ESCAPES: Record<string, string> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};
const CLOSE = { "{": "}", "(": ")", "[": "]" } as const;

function unescaped(text: string): string {
  return text.replace(
    /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|([\s\S]))/g,
    (all, x, u, long, octal, one) => {
      const code = x ?? u ?? long;
      if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      return ESCAPES[one] ?? all;
    },
  );
}

/** @throws TemplateError with the line */
export function tokenize(template: string): Token[] {
  const source = template.replace(/\r\n|\r/g, "\n").replace(/\n$/, "");
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  let counted = 0;
  const push = (kind: TokenKind, text: string, from = at) => {
    for (; counted < from; counted++) if (source[counted] === "\n") line++;
    tokens.push({ kind, text, line });
  };
  const refuse = (message: string): never => {
    push("end", "");
    const error = new TemplateError(message);
    error.line = line;
    throw error;
  };
  const match = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const found = pattern.exec(source)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const atLineStart = () => at === 0 || source[at - 1] === "\n";
  /** Text before a tag, stripped as the tag's sign says. */
  const before = (text: string, sign: string, isVariable: boolean, lineStarting: boolean) => {
    if (sign === "-") return text.replace(new RegExp(`[${SPACE}]+$`), "");
    if (sign === "+" || isVariable) return text;
    const start = text.lastIndexOf("\n") + 1;
    const blank = (start > 0 || lineStarting) && new RegExp(`^[${SPACE}]+$`).test(text.slice(start));
    return blank ? text.slice(0, start) : text;
  };
  const data = (text: string) => {
    if (text !== "") push("data", text);
  };
  const blockEnd = sticky(`\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?`);
  const variableEnd = sticky(`-\\}\\}[${SPACE}]*|\\}\\}`);

  const inside = (isVariable: boolean) => {
    const open: string[] = [];
    for (;;) {
      if (at >= source.length) refuse("a tag is not closed");
      if (open.length === 0) {
        const from = at;
        if (match(isVariable ? variableEnd : blockEnd) !== undefined) {
          push(isVariable ? "endvariable" : "endblock", "", from);
          return;
        }
      }
      const from = at;
      if (match(BLANK) !== undefined) continue;
      let found = match(FLOAT);
      if (found !== undefined) {
        push("float", found.replaceAll("_", ""), from);
        continue;
      }
      found = match(INT);
      if (found !== undefined) {
        push("int", found.replaceAll("_", ""), from);
        continue;
      }
      found = match(NAME);
      if (found !== undefined) {
        push("name", found, from);
        continue;
      }
      found = match(TEXT);
      if (found !== undefined) {
        push("text", unescaped(found.slice(1, -1)), from);
        continue;
      }
      found = match(OPERATOR);
      if (found === undefined) return refuse(`unexpected character ${JSON.stringify(source[at])}`);
      if (found in CLOSE) open.push(CLOSE[found as keyof typeof CLOSE]);
      else if (/^[)\]}]$/.test(found) && open.pop() !== found) refuse(`unexpected '${found}'`);
      push("operator", found, from);
    }
  };

  while (at < source.length) {
    const lineStarting = atLineStart();
    BEGIN.lastIndex = at;
    const found = BEGIN.exec(source);
    if (found === null) {
      push("data", source.slice(at));
      break;
    }
    const { raw, open, sign } = found.groups!;
    const text = before(source.slice(at, found.index), (open === undefined ? raw : sign)!, open === "{", lineStarting);
    data(text);
    at = found.index + found[0].length;
    if (open === undefined) {
      const end = new RegExp(`\\{%([-+]?)[${SPACE}]*endraw[${SPACE}]*(?:\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?)`, "g");
      end.lastIndex = at;
      const last = end.exec(source);
      if (last === null) return refuse("missing end of raw block");
      data(before(source.slice(at, last.index), last[1]!, false, atLineStart()));
      at = last.index + last[0].length;
    } else if (open === "#") {
      const end = new RegExp(`\\+#\\}|-#\\}[${SPACE}]*|#\\}\\n?`, "g");
      end.lastIndex = at;
      const last = end.exec(source);
      if (last === null) return refuse("missing end of comment");
      at = last.index + last[0].length;
    } else {
      push(open === "{" ? "variable" : "block", "", found.index);
      inside(open === "{");
    }
  }
  push("end", "");
  return tokens;
}
