import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CPU, devices } from "../../native/index.js";

/** One of the things that bound the memory of this process. */
export interface MemoryLimit {
  /** The most that this process may hold in all; its present memory is part of it. */
  bytes: number;
  /** The source of the limit; goes on from "3.0 GiB are". */
  of: string;
  /**
   * Whether pages of mapped files count. They are page cache, which is given back to the system when memory is short.
   * But a limit that the user names is of all memory that the process shows as resident.
   */
  countsMapped: boolean;
  /** Whether it is of a device's own memory; else it is of the host's. */
  ofDevice?: boolean;
  /** Items of a plan that this limit leaves out: they have been taken from the memory that it counts. */
  taken?: readonly string[];
  /** Ranks that `bytes` is the share of one of. Pages of mapped files are there once for all of them. */
  ranks?: number;
}

/** Files of one control group version, in its folder. */
interface GroupFiles {
  mount: string;
  limit: string;
  used: string;
  /** Keys of memory.stat that count page cache, which is given back when needed. */
  cache: string[];
}

const V1: GroupFiles = {
  mount: "sys/fs/cgroup/memory",
  limit: "memory.limit_in_bytes",
  used: "memory.usage_in_bytes",
  cache: ["total_inactive_file", "total_active_file"],
};
const V2: GroupFiles = {
  mount: "sys/fs/cgroup",
  limit: "memory.max",
  used: "memory.current",
  cache: ["inactive_file", "active_file"],
};

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** Value of `key` in lines such as `key 123` or `Key: 123 kB`. */
function field(text: string, key: string): number {
  return Number(new RegExp(`^${key}:?\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
}

/** The memory that one control group still allows; undefined where it sets no limit. */
function inGroup(folder: string, files: GroupFiles): number | undefined {
  const limit = read(join(folder, files.limit))?.trim();
  const used = read(join(folder, files.used));
  if (limit === undefined || used === undefined || limit === "max") return undefined;
  const stat = read(join(folder, "memory.stat")) ?? "";
  const cache = files.cache.reduce((sum, key) => sum + field(stat, key), 0);
  return Math.max(0, Number(limit) - Number(used) + cache);
}

/** The memory that this process's control group and the groups above it still allow. */
function inGroups(root: string): Pick<MemoryLimit, "bytes" | "of">[] {
  const limits: Pick<MemoryLimit, "bytes" | "of">[] = [];
  for (const line of (read(join(root, "proc/self/cgroup")) ?? "").split("\n")) {
    const [id, controllers, path] = line.split(":");
    if (path === undefined) continue;
    const files = id === "0" && controllers === "" ? V2 : controllers?.split(",").includes("memory") ? V1 : undefined;
    if (!files) continue;
    // Inside a container the path may be the host's; the mount's own folder is then the container's.
    for (let at = path; ; at = dirname(at)) {
      const left = inGroup(join(root, files.mount, at), files);
      const file = join("/", files.mount, at, files.limit);
      if (left !== undefined) limits.push({ bytes: left, of: `free within the container's limit (${file})` });
      if (at === "/" || at === ".") break;
    }
  }
  return limits;
}

/**
 * Everything that bounds the memory of this process: the machine, its control groups and `--memory_limit`. Page cache
 * counts as free, for it is given back; that includes the pages of a mapped base model.
 * @param own `--memory_limit` in bytes
 * @param root where /proc and /sys are, for tests
 * @param ranks processes of this run on this machine, which begin together and share what is free
 * @returns at least one; the machine's is infinite where it does not say
 */
export function memoryLimits(own?: number, root = "/", ranks = 1): MemoryLimit[] {
  const held = field(read(join(root, "proc/self/status")) ?? "", "RssAnon") * 1024;
  const machine = field(read(join(root, "proc/meminfo")) ?? "", "MemAvailable") * 1024;
  const free = { bytes: machine > 0 ? machine : Number.POSITIVE_INFINITY, of: "free in this machine" };
  const limits: MemoryLimit[] = [free, ...inGroups(root)].map(({ bytes, of }) => {
    if (ranks === 1) return { bytes: bytes + held, of, countsMapped: false };
    return { bytes: bytes / ranks + held, of: `${of}, for each of ${ranks} ranks`, countsMapped: false, ranks };
  });
  if (own !== undefined) limits.push({ bytes: own, of: "allowed by --memory_limit", countsMapped: true });
  return limits;
}

/**
 * Everything that bounds a run on a device. On another device than the processor `--memory_limit` is of the device's memory.
 * A device that is not there has no other limit.
 * @param ranks processes of this run on this machine
 */
export function limitsOn(device = CPU, own?: number, ranks = 1): MemoryLimit[] {
  if (device === CPU) return memoryLimits(own, "/", ranks);
  const limit = (bytes: number, of: string): MemoryLimit => ({ bytes, of, countsMapped: false, ofDevice: true });
  const free = devices().found.find(({ name }) => name === device)?.freeBytes;
  return [
    ...memoryLimits(undefined, "/", ranks),
    ...(own === undefined ? [] : [limit(own, "allowed by --memory_limit")]),
    // Asking for the free memory made the context.
    ...(free === undefined ? [] : [{ ...limit(free, `free on ${device}`), taken: ["context"] }]),
  ];
}

/**
 * Bytes that this process holds, without the pages of some mapped files.
 * @param root where /proc is, for tests
 */
export function heldBesides(files: ReadonlySet<string>, root = "/"): number {
  let held = 0;
  let isCounted = true;
  for (const line of (read(join(root, "proc/self/smaps")) ?? "").split("\n")) {
    const mapping = /^[\da-f]+-[\da-f]+ \S+ \S+ \S+ \d+\s*(.*)$/.exec(line);
    if (mapping) isCounted = !files.has(mapping[1]!);
    else if (isCounted && line.startsWith("Rss:")) held += field(line, "Rss") * 1024;
  }
  return held || process.memoryUsage.rss();
}
