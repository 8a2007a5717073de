// Runs a long command so that a reader sees that it goes on.
import { spawn } from "node:child_process";

const SILENCE_MS = 10_000;

/**
 * Runs a command; after each ten seconds without output a line on standard error says how long it has run, with the last line that a quiet
 * one printed. Where it fails, shows its output (unless it was shown already) and ends this process.
 * @param {string} what names it in such a line
 */
export async function runAlive(what, command, args, { cwd, env = {}, quiet = false } = {}) {
  const started = Date.now();
  let [last, held, shownAt] = ["", "", started];
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const take = (to) => (bytes) => {
    const text = bytes.toString();
    last = text.trimEnd().split("\n").at(-1).slice(0, 60);
    if (quiet) {
      held += text;
      return;
    }
    shownAt = Date.now();
    to.write(bytes);
  };
  child.stdout.on("data", take(process.stdout));
  child.stderr.on("data", take(process.stderr));
  const timer = setInterval(() => {
    if (Date.now() - shownAt < SILENCE_MS) return;
    shownAt = Date.now();
    console.error(`... ${what}, ${Math.round((shownAt - started) / 1000)} s${quiet && last ? `: ${last}` : ""}`);
  }, SILENCE_MS / 10);
  const status = await new Promise((resolve) => {
    child.on("error", (error) => {
      held += `${command}: ${error.message}\n`;
      resolve(1);
    });
    child.on("close", (code) => resolve(code ?? 1));
  });
  clearInterval(timer);
  if (status === 0) return;
  process.stderr.write(held);
  process.exit(status);
}
