import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

export interface AvailableMemory {
  bytes: number;
  /** What sets the limit. */
  of: string;
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

/** What one control group still allows; undefined where it sets no limit. */
function inGroup(folder: string, files: GroupFiles): number | undefined {
  const limit = read(join(folder, files.limit))?.trim();
  const used = read(join(folder, files.used));
  if (limit === undefined || used === undefined || limit === "max") return undefined;
  const stat = read(join(folder, "memory.stat")) ?? "";
  const cache = files.cache.reduce((sum, key) => sum + field(stat, key), 0);
  return Math.max(0, Number(limit) - Number(used) + cache);
}

/** The tightest limit of this process's control group and those above it. */
function inGroups(root: string): number | undefined {
  const limits: number[] = [];
  for (const line of (read(join(root, "proc/self/cgroup")) ?? "").split("\n")) {
    const [id, controllers, path] = line.split(":");
    if (path === undefined) continue;
    const files = id === "0" && controllers === "" ? V2 : controllers?.split(",").includes("memory") ? V1 : undefined;
    if (!files) continue;
    // Inside a container the path may be the host's; the mount's own folder is then the container's.
    for (let at = path; ; at = dirname(at)) {
      const left = inGroup(join(root, files.mount, at), files);
      if (left !== undefined) limits.push(left);
      if (at === "/" || at === ".") break;
    }
  }
  return limits.length ? Math.min(...limits) : undefined;
}

/**
 * Memory that this process can still take: what the machine has, or what its control group allows where that is less.
 * Page cache counts as available, for it is given back; that includes the pages of a mapped base model.
 * @param limit of the user, which counts where it is less
 * @param root where /proc and /sys are, for tests
 */
export function availableMemory(limit?: number, root = "/"): AvailableMemory {
  const found = systemMemory(root);
  const left = limit === undefined ? Number.POSITIVE_INFINITY : Math.max(0, limit - process.memoryUsage.rss());
  return left < found.bytes ? { bytes: left, of: "within --memory_limit" } : found;
}

function systemMemory(root: string): AvailableMemory {
  const machine = field(read(join(root, "proc/meminfo")) ?? "", "MemAvailable") * 1024;
  const group = inGroups(root);
  if (group !== undefined && (machine === 0 || group < machine)) {
    return { bytes: group, of: "within the container's limit" };
  }
  return { bytes: machine > 0 ? machine : Number.POSITIVE_INFINITY, of: "in this machine" };
}
