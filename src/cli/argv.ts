import { findRow, type OptionRow, type Rows } from "../config/index.js";

/**
 * Rewrites arguments so that every known option has one spelling, `--lora_r=8`: dashes become underscores, `--shuffle`
 * and `--no-shuffle` become `=true` and `=false`, an option that lacks its value gets an empty one. Values and
 * unknown options are left alone. Another name of an option stays, so that messages repeat the user's spelling.
 */
export function normalise(argv: readonly string[], rows: Rows): string[] {
  const result: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const token = argv[i]!;
    if (token === "--") return [...result, ...argv.slice(i)];
    const option = known(token, rows);
    if (option === undefined) {
      result.push(token);
      continue;
    }
    const { name, row, negated } = option;
    const next = argv[i + 1];
    if (option.value !== undefined) result.push(`--${name}=${option.value}`);
    else if (negated) result.push(`--${name}=false`);
    else if (row.kind === "flag") {
      const follows = /^(true|false)$/i.test(next ?? "");
      result.push(`--${name}=${follows ? argv[++i] : "true"}`);
    } else {
      const isOption = row.bare === undefined ? next === "--" || known(next ?? "", rows) : next?.startsWith("-");
      const follows = next !== undefined && !isOption;
      result.push(`--${name}=${follows ? argv[++i] : (row.bare ?? "")}`);
    }
  }
  return result;
}

/** The arguments after a command's name, each with the option's own name. */
export function tokensOf(argv: readonly string[], rows: Rows): { name: string | undefined; text: string }[] {
  return normalise(argv, rows).map((text) => {
    const name = /^--([A-Za-z]\w*)=/.exec(text)?.[1];
    return { name: name === undefined ? undefined : findRow(rows, name)?.key, text };
  });
}

interface KnownOption {
  name: string;
  row: OptionRow;
  value: string | undefined;
  negated: boolean;
}

const negatable = (row: OptionRow) => row.kind === "flag" || row.bare !== undefined;

function known(token: string, rows: Rows): KnownOption | undefined {
  const match = /^--([A-Za-z][\w-]*)(?:=([\s\S]*))?$/.exec(token);
  if (!match) return undefined;
  const name = match[1]!.replaceAll("-", "_");
  const own = findRow(rows, name);
  if (own) return { name, row: own.row, value: match[2], negated: false };
  const positive = name.replace(/^no_/, "");
  const row = findRow(rows, positive)?.row;
  if (positive === name || !row || !negatable(row) || match[2] !== undefined) return undefined;
  return { name: positive, row, value: undefined, negated: true };
}
