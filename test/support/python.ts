import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What a script of Python prints, without blanks at its ends. @throws Error with its standard error where it fails */
export async function printedByPython(python: string, script: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await run(python, ["-c", script], { env, maxBuffer: 2 ** 30 });
  return stdout.trim();
}
