import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export { steadyMetrics } from "../../scripts/support/steady-metrics.mjs";

export const root = new URL("../..", import.meta.url).pathname;

export const tinyBase = join(root, "examples/tiny-base");
export const trainFile = join(root, "examples/data/train.jsonl");
export const validationFile = join(root, "examples/data/validation.jsonl");
export const cliFile = join(root, "dist/cli/main.js");

/** A folder for one test file; `remove` in its `afterAll`. */
export function workFolder(name: string): { path: (...parts: string[]) => string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), `lowrank-${name}-`));
  return { path: (...parts) => join(folder, ...parts), remove: () => rmSync(folder, { recursive: true }) };
}

export function jsonLines<T = Record<string, number>>(file: string): T[] {
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** The first lines of the examples' texts, as a file. */
export function someTexts(file: string, count: number): string {
  writeFileSync(file, readFileSync(trainFile, "utf8").split("\n").slice(0, count).join("\n"));
  return file;
}

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  input?: string;
  /** Called with the process and everything on standard error so far, whenever something comes. */
  onOutput?: (child: ReturnType<typeof spawn>, stderr: string) => void;
}

/** Runs the built command. */
export function lowrank(args: string[], options: RunOptions = {}): Promise<Finished> {
  return run(process.execPath, [cliFile, ...args], options);
}

/** Runs a program with no LOWRANK_ variable of the surroundings. */
export function run(program: string, args: string[], options: RunOptions = {}): Promise<Finished> {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^LOWRANK_(?!CPU)/.test(name)));
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...clean, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data) => {
      stdout += data;
    });
    child.stderr.on("data", (data) => {
      stderr += data;
      options.onOutput?.(child, stderr);
    });
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
    child.stdin.end(options.input ?? "");
  });
}
