// Programs that the parity checks run: Node scripts, our command and the peer's Python.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** Standard output of a program that must succeed; where it does not, its output is in the error. */
export function run(command, args, input = "") {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    const out = [];
    const err = [];
    child.stdout.on("data", (data) => out.push(data));
    child.stderr.on("data", (data) => err.push(data));
    child.on("error", reject);
    child.on("close", (code) => {
      const text = Buffer.concat(out).toString();
      if (code === 0) resolve(text);
      else reject(new Error(`${command} ${args.join(" ")}\nended with ${code}\n${text}${Buffer.concat(err)}`));
    });
    child.stdin.end(input);
  });
}

export const node = (args) => run(process.execPath, args);
export const lowrank = (args) => run(process.execPath, [CLI, ...args]);

/** `--name value` for every option; `true` is a bare flag. */
export function flags(options) {
  return Object.entries(options).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, String(value)],
  );
}

/** Every JSON object that stands on a line of its own. */
export function jsonLines(text) {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
}

/** The results of transformers and peft on folders, one for each job (see peer.py). */
export async function peerJobs(python, jobs) {
  const script = fileURLToPath(new URL("./peer.py", import.meta.url));
  return jsonLines(await run(python, [script], JSON.stringify(jobs)));
}
