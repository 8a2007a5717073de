import { otherNames } from "./aliases.js";
import { commandList } from "./commands.js";
import type { OptionRow, Rows } from "./row.js";

/** Options by group, in the table's order. */
export function byGroup(rows: Rows): Map<string, [string, OptionRow][]> {
  const groups = new Map<string, [string, OptionRow][]>();
  for (const [name, row] of Object.entries(rows)) {
    const group = groups.get(row.group) ?? [];
    group.push([name, row]);
    groups.set(row.group, group);
  }
  return groups;
}

/** A row's default as the help shows it. */
export function shownDefault(row: OptionRow): string | undefined {
  if (row.required) return row.unless === undefined ? "required" : `required, or ${row.unless}`;
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
    "environment, the environment over the file, the file over the defaults. An option that is unknown, misspelled, given",
    "twice or out of range is an error.",
    "",
    "One file serves all commands that have --config: keys of other commands are ignored. Paths, in the file as in flags and variables, are relative",
    "to the folder that the command is started in, not to the file's.",
    "",
    "[Names that other trainers use](#other-names) are accepted wherever the option's own name is.",
  ];
  for (const { name, summary, example, rows } of commandList) {
    lines.push("", `## lowrank ${name}`, "", `${summary}.`, "", "```sh", example, "```");
    for (const [group, members] of byGroup(rows)) {
      lines.push("", `### ${group}`, "", "| option | default | value | meaning |", "|---|---|---|---|");
      for (const [option, row] of members) {
        lines.push(`| \`${option}\` | ${shownDefault(row) ?? ""} | ${cell(row.expects)} | ${cell(row.help)} |`);
      }
    }
  }
  lines.push(
    "",
    "## Other names",
    "",
    "Names of these options in the Hugging Face Trainer, TRL, PEFT, Axolotl, Unsloth and LLaMA-Factory, where the meaning is the same.",
    "A name with a similar meaning, such as `bf16` or `batch_size`, is an error that names the option to use.",
    "",
    "| option | also |",
    "|---|---|",
  );
  for (const option of new Set(commandList.flatMap(({ rows }) => Object.keys(rows)))) {
    const others = otherNames(option).map((other) => `\`${other}\``);
    if (others.length > 0) lines.push(`| \`${option}\` | ${others.join(", ")} |`);
  }
  return `${lines.join("\n")}\n`;
}
