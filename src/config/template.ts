// A commented YAML file with every option of a training run.
import { commands } from "./commands.js";
import { byGroup } from "./document.js";

const WIDTH = 110;

/** Lines of a comment, no wider than a screen. */
function comment(text: string): string[] {
  const lines: string[] = [];
  let line = "#";
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > WIDTH && line !== "#") {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

/** @param schema where the JSON Schema is, for editors */
export function configTemplate(schema: string): string {
  const lines = [
    `# yaml-language-server: $schema=${schema}`,
    ...comment(
      "Options of `lowrank train --config THIS_FILE`. Flags and LOWRANK_<NAME> win over the values in this file. A line that begins with # is the default. Other commands take the same file, and ignore the keys of train alone. Paths are relative to the folder that the command is started in.",
    ),
  ];
  for (const [group, members] of byGroup(commands.train.rows)) {
    const shown = members.filter(([name]) => name !== "config" && name !== "dry_run");
    if (shown.length === 0) continue;
    lines.push("", `# --- ${group} ${"-".repeat(Math.max(0, 60 - group.length))}`);
    for (const [name, row] of shown) {
      lines.push("", ...comment(row.help));
      if (row.required) lines.push(`${name}: # required: ${row.expects}`);
      else if (row.defaultValue === undefined) lines.push(`# ${name}:`);
      else lines.push(`# ${name}: ${JSON.stringify(row.defaultValue)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}
