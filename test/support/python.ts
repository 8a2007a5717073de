import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const LACKING = "import sys, importlib.util as u; print(*[name for name in sys.argv[1:] if not u.find_spec(name)])";

export interface PeerPython {
  /** "" where no variable names one. */
  python: string;
  /** Why the packages cannot be used; undefined where they can. */
  reason: string | undefined;
}

/**
 * The Python that the first set one of some environment variables names. Its packages are looked for, not imported: an import of torch takes seconds.
 * @param packages names with blanks between them
 */
export function peerPython(packages: string, ...variables: string[]): PeerPython {
  const name = variables.find((variable) => process.env[variable]) ?? "LOWRANK_PEER_PYTHON";
  const python = process.env[name] ?? "";
  if (python === "") return { python, reason: `${name} is not set` };
  const { status, stdout } = spawnSync(python, ["-c", LACKING, ...packages.split(" ")], { encoding: "utf8" });
  if (status !== 0) return { python, reason: `${python}, which ${name} names, does not run` };
  const lacking = stdout.trim();
  return { python, reason: lacking === "" ? undefined : `${python} has no ${lacking}` };
}

/** What a script of Python prints, without blanks at its ends. @throws Error with its standard error where it fails */
export async function printedByPython(python: string, script: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await run(python, ["-c", script], { env, maxBuffer: 2 ** 30 });
  return stdout.trim();
}
