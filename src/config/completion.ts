// Completion of the command line in shells: commands, options, and the values of choices; file names elsewhere.
import type { Command } from "./commands.js";
import { commandList } from "./commands.js";
import type { OptionRow } from "./row.js";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** Values of an option with a fixed choice; none where it is free. */
const choices = ({ values = [] }: OptionRow): readonly string[] => values;

const options = ({ rows }: Command) => Object.keys(rows).map((name) => `--${name}`);

function bash(): string {
  const cases = commandList.flatMap((command) => {
    const lines = [`    ${command.name}) options="${options(command).join(" ")} --help" ;;`];
    return lines;
  });
  const values = new Map<string, string>();
  for (const { rows } of commandList) {
    for (const [name, row] of Object.entries(rows))
      if (choices(row).length > 0) values.set(name, choices(row).join(" "));
  }
  const valueCases = [...values].map(
    ([name, list]) => `    --${name}) COMPREPLY=($(compgen -W "${list}" -- "$word")); return ;;`,
  );
  const positional = commandList.flatMap(({ name, positionals: [option] = [], rows }) => {
    const list = option === undefined ? [] : choices(rows[option]!);
    return list.length > 0 ? [`    ${name}) COMPREPLY=($(compgen -W "${list.join(" ")}" -- "$word")); return ;;`] : [];
  });
  return `# lowrank: completion for bash. In ~/.bashrc: eval "$(lowrank completion bash)"
_lowrank() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" options=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commandList.map(({ name }) => name).join(" ")} --help --version" -- "$word"))
    return
  fi
  case "$before" in
${valueCases.join("\n")}
  esac
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
  if [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
    return
  fi
  if [ "$COMP_CWORD" -eq 2 ]; then
    case "\${COMP_WORDS[1]}" in
${positional.join("\n")}
    esac
  fi
  COMPREPLY=($(compgen -f -- "$word"))
}
complete -o filenames -F _lowrank lowrank
`;
}

/** zsh runs bash's. */
function zsh(): string {
  return `# lowrank: completion for zsh. In ~/.zshrc, after compinit: eval "$(lowrank completion zsh)"
autoload -U +X bashcompinit && bashcompinit
${bash().split("\n").slice(1).join("\n")}`;
}

const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

function fish(): string {
  const lines = ["# lowrank: completion for fish. lowrank completion fish > ~/.config/fish/completions/lowrank.fish"];
  for (const { name, summary } of commandList) {
    lines.push(`complete -c lowrank -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`);
  }
  for (const { name, positionals: [positional] = [], rows } of commandList) {
    const inside = `-n '__fish_seen_subcommand_from ${name}'`;
    for (const [option, row] of Object.entries(rows)) {
      const list = choices(row);
      const values = list.length > 0 ? ` -x -a '${list.join(" ")}'` : row.kind === "flag" ? "" : " -r";
      lines.push(`complete -c lowrank ${inside} -l ${option}${values} -d ${quoted(row.help)}`);
      if (option === positional && list.length > 0)
        lines.push(`complete -c lowrank ${inside} -f -a '${list.join(" ")}'`);
    }
  }
  return `${lines.join("\n")}\n`;
}

export function completion(shell: Shell): string {
  return { bash, zsh, fish }[shell]();
}
