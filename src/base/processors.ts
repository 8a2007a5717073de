import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** The numbers of a list as Linux writes it: `0-3,8` is 0, 1, 2, 3 and 8. */
export function numbersOf(list: string): number[] {
  return list
    .split(",")
    .filter(Boolean)
    .flatMap((part) => {
      const [first = 0, last = first] = part.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}

/** Cores of the processors that the process may run on: hyper-threads of one core are one. Undefined where the system does not tell. */
function physicalCores(root: string): number | undefined {
  const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(read(join(root, "proc/self/status")) ?? "")?.[1];
  if (allowed === undefined) return undefined;
  const cores = new Set<string>();
  for (const cpu of numbersOf(allowed)) {
    const siblings = read(join(root, `sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`));
    if (siblings === undefined) return undefined;
    cores.add(siblings);
  }
  return cores.size || undefined;
}

/** Processors' worth of time that the files of a control group grant; infinite without a limit. */
function quotaIn(folder: string): number {
  const [quota, period] = (read(join(folder, "cpu.max")) ?? "max").split(" ").map(Number) as [number, number];
  if (quota > 0 && period > 0) return quota / period;
  const old = Number(read(join(folder, "cpu.cfs_quota_us")) ?? -1);
  const oldPeriod = Number(read(join(folder, "cpu.cfs_period_us")) ?? 0);
  return old > 0 && oldPeriod > 0 ? old / oldPeriod : Number.POSITIVE_INFINITY;
}

/** The smallest quota of the process's control groups, versions 1 and 2, and of the groups that hold them. */
function quota(root: string): number {
  let least = Number.POSITIVE_INFINITY;
  for (const line of (read(join(root, "proc/self/cgroup")) ?? "").split("\n")) {
    const [, controllers, ...path] = line.split(":");
    if (controllers === undefined || (controllers !== "" && !controllers.split(",").includes("cpu"))) continue;
    const mounted = controllers === "" ? "sys/fs/cgroup" : `sys/fs/cgroup/${controllers}`;
    const folders = path.join(":").split("/").filter(Boolean);
    // In a container the path may be the host's, of which nothing is mounted but the group itself.
    for (let depth = folders.length; depth >= 0; depth--)
      least = Math.min(least, quotaIn(join(root, mounted, ...folders.slice(0, depth))));
  }
  return least;
}

/**
 * Threads that compute at the machine's full speed: one for each core that the process may run on, and no more than its
 * control group grants (Docker's `--cpus`, Kubernetes' limits). Two hyper-threads of a core share its arithmetic units.
 *
 * @param root folder in the place of `/`, for tests
 */
export function usableCores(root = "/"): number {
  const processors = availableParallelism();
  const cores = physicalCores(root) ?? processors;
  return Math.max(1, Math.min(cores, Math.floor(quota(root))));
}
