// The peer of a benchmark: an option that names its Python, and the last line that a side prints.
import { execFileSync } from "node:child_process";

/** @param {string} packages packages that the Python needs, such as "torch and peft" */
export const peerPython = (packages) => ({
  value: "PATH",
  default: process.env.LOWRANK_PEER_PYTHON ?? "",
  help: `a Python with ${packages}; LOWRANK_PEER_PYTHON names it, too`,
});

/** The last line that a command prints, as JSON. */
export function lastJson(command, args, env = {}) {
  const stdio = ["ignore", "pipe", "inherit"];
  const out = execFileSync(command, args, { encoding: "utf8", stdio, env: { ...process.env, ...env } });
  return JSON.parse(out.trim().split("\n").at(-1));
}
