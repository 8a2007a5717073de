import { commands } from "./commands.js";
import type { Row, Rows } from "./row.js";
import { laterRows } from "./rows.js";

/** Options by group, in the table's order. */
export function byGroup(rows: Rows): Map<string, [string, Row][]> {
  const groups = new Map<string, [string, Row][]>();
  for (const [name, row] of Object.entries(rows)) {
    const group = groups.get(row.group) ?? [];
    group.push([name, row]);
    groups.set(row.group, group);
  }
  return groups;
}

/** A row's default as the help shows it. */
export function shownDefault(row: Row): string | undefined {
  if (row.required) return "required";
  return row.defaultValue === undefined ? undefined : String(row.defaultValue);
}

const cell = (text: string) => text.replaceAll("|", "\\|");

/** docs/options.md. */
export function optionsDocument(): string {
  const lines = [
    "# Options",
    "",
    "Written by `node scripts/write-options-doc.mjs` from the one table in `src/config/rows.ts`.",
    "",
    "Every option may be a flag (`--lora_r 8`, `--lora-r=8`; flags that are true or false also `--shuffle`, `--no-shuffle`), a",
    "key of the YAML file that `--config` names (`lora_r: 8`) or an environment variable (`LOWRANK_LORA_R=8`). Flags win over the",
    "environment, the environment over the file, the file over the defaults. What is unknown, misspelled, given twice or out",
    "of range is an error.",
  ];
  for (const { name, summary, example, rows } of commands) {
    lines.push("", `## lowrank ${name}`, "", `${summary}.`, "", "```sh", example, "```");
    for (const [group, members] of byGroup(rows)) {
      lines.push("", `### ${group}`, "", "| option | default | value | meaning |", "|---|---|---|---|");
      for (const [option, row] of members) {
        lines.push(`| \`${option}\` | ${shownDefault(row) ?? ""} | ${cell(row.expects)} | ${cell(row.help)} |`);
      }
    }
  }
  lines.push("", "## Options of later versions", "", "| option | |", "|---|---|");
  for (const [option, words] of Object.entries(laterRows)) lines.push(`| \`${option}\` | ${words} |`);
  return `${lines.join("\n")}\n`;
}
