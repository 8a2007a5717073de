// `lowrank doctor`: whether this machine has everything that a run needs, and how much memory and which processors it
// has.

import { accessSync, constants, existsSync, mkdirSync, statfsSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { defaultCacheFolder } from "../base/cache-folder.js";
import { LowrankError } from "../base/errors.js";
import { usableCores } from "../base/processors.js";
import { bytes } from "../base/text.js";
import type { CommandOptions } from "../config/index.js";
import { findMpirun } from "../launch/index.js";
import { supportedModelTypes } from "../model/index.js";
import { addonFolder, cpuInfo, groupProblem } from "../native/index.js";
import { memoryLimits } from "../setup/memory/limits.js";

interface Finding {
  name: string;
  ok: boolean;
  /** The finding, and the remedy where it is a problem. */
  text: string;
}

const LEAST_NODE = [20, 19];
/** Below this little more than a tiny model can be trained. */
const LEAST_MEMORY = 2 ** 30;
const LEAST_DISK = 2 ** 30;

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const ok = major > LEAST_NODE[0]! || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1]!);
  return { name: "Node.js", ok, text: `${process.version}${ok ? "" : `, expected ${LEAST_NODE.join(".")} or newer`}` };
}

function addon(): Finding[] {
  try {
    const { isa, available } = cpuInfo();
    const forced = process.env.LOWRANK_CPU ? ", chosen by LOWRANK_CPU" : "";
    return [
      { name: "native addon", ok: true, text: `loaded; models of type ${supportedModelTypes().join(", ")}` },
      { name: "instruction sets", ok: true, text: `${available.join(", ")}; in use: ${isa}${forced}` },
    ];
  } catch (error) {
    if (!(error instanceof LowrankError)) throw error;
    return [{ name: "native addon", ok: false, text: error.message.replaceAll("\n", " ") }];
  }
}

function memory(): Finding {
  const { bytes: free, of } = memoryLimits().reduce((a, b) => (b.bytes < a.bytes ? b : a));
  const ok = free >= LEAST_MEMORY;
  return { name: "memory", ok, text: `${bytes(free)} ${of}${ok ? "" : ": too little for most models"}` };
}

/** What several ranks need. A machine without it is whole. */
function ranks(): Finding[] {
  const attempt = (name: string, find: () => string): Finding => {
    try {
      return { name, ok: true, text: find() };
    } catch (error) {
      if (!(error instanceof LowrankError)) throw error;
      return { name, ok: true, text: `not for several ranks: ${error.message.split("\n")[0]}` };
    }
  };
  const plugin = () => {
    const problem = groupProblem();
    return problem === null ? join(addonFolder(), "liblowrank_mpi.so") : `not for several ranks: ${problem}`;
  };
  const mpirun = () => {
    const { path, version } = findMpirun();
    return `Open MPI ${version}, ${path}`;
  };
  return [attempt("mpirun", mpirun), attempt("MPI plugin", plugin)];
}

/** The folder itself, or the nearest one above it that is there. */
function nearest(folder: string): string {
  return existsSync(folder) || folder === dirname(folder) ? folder : nearest(dirname(folder));
}

function disk(name: string, folder: string, advice: string): Finding {
  try {
    const there = nearest(folder);
    accessSync(there, constants.W_OK);
    if (name === "cache folder") mkdirSync(folder, { recursive: true });
    const { bavail, bsize } = statfsSync(there);
    const free = bavail * bsize;
    const ok = free >= LEAST_DISK;
    return { name, ok, text: `${folder}: ${bytes(free)} free${ok ? "" : `; ${advice}`}` };
  } catch (error) {
    return {
      name,
      ok: false,
      text: `${folder} cannot be written to (${(error as NodeJS.ErrnoException).code}); ${advice}`,
    };
  }
}

/** @throws LowrankError E_DOCTOR where something is not right, after everything was printed */
export async function run(o: CommandOptions<"doctor">): Promise<void> {
  const { model } = cpus()[0] ?? { model: "unknown" };
  const findings: Finding[] = [
    node(),
    {
      name: "processor",
      ok: true,
      text: `${model}, ${availableParallelism()} threads; ${usableCores()} used without --threads`,
    },
    ...addon(),
    ...ranks(),
    memory(),
    disk("cache folder", o.cache_dir ?? defaultCacheFolder(), "name another one with --cache_dir"),
    disk("temporary folder", tmpdir(), "free some space, or set TMPDIR"),
  ];
  if (o.json) {
    process.stdout.write(`${JSON.stringify({ ok: findings.every(({ ok }) => ok), findings })}\n`);
  } else {
    const width = Math.max(...findings.map(({ name }) => name.length));
    const lines = findings.map(({ name, ok, text }) => `${ok ? "ok     " : "PROBLEM"}  ${name.padEnd(width)}  ${text}`);
    process.stdout.write(`${lines.join("\n")}\n`);
  }
  const wrong = findings.filter(({ ok }) => !ok).map(({ name }) => name);
  if (wrong.length > 0) throw new LowrankError("E_DOCTOR", `Not right: ${wrong.join(", ")}.`);
}
