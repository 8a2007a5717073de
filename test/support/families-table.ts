// The table of families in docs/base-models.md.
import { readFileSync } from "node:fs";

const page = readFileSync(new URL("../../docs/base-models.md", import.meta.url), "utf8");

export const familiesTable = [
  ...page.matchAll(/^\| ([a-z0-9_, ]+) \| (.+) \| ([a-z0-9_, ]+?)( \(PEFT's\)| \(PEFT has none\))? \|$/gm),
].map(([, types, , targets, note]) => ({
  types: types!.split(", "),
  targets: targets!.split(", ").sort(),
  /** Whether they are PEFT's own; undefined: the table does not say. */
  ofPeft: note === undefined ? undefined : note.includes("'s"),
}));
