import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { numbersOf, usableCores } from "../../src/base/processors.js";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "lowrank-processors-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(file: string, text: string): void {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), `${text}\n`);
}

/** A machine of four cores with two hyper-threads each, of which the process may run on `allowed`. */
function machine(allowed: string): void {
  put("proc/self/status", `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${allowed}\nMems_allowed:\t1`);
  for (let cpu = 0; cpu < 8; cpu++)
    put(`sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`, `${cpu % 4},${(cpu % 4) + 4}`);
}

test("lists of processors", () => {
  expect(numbersOf("0-3,8,10-11")).toEqual([0, 1, 2, 3, 8, 10, 11]);
  expect(numbersOf("5")).toEqual([5]);
});

test.each([
  ["0-7", 4],
  ["0-3", 4],
  ["0,4", 1],
  ["0-1,4-6", 3],
  ["7", 1],
])("processors %s of four cores with two threads each are %i cores", (allowed, cores) => {
  machine(allowed);
  expect(usableCores(root)).toBe(cores);
});

test.each([
  ["200000 100000", 2],
  ["250000 100000", 2],
  ["50000 100000", 1],
  ["max 100000", 4],
])("a container's cpu.max of %s allows %i threads", (max, threads) => {
  machine("0-7");
  put("proc/self/cgroup", "0::/user.slice/job");
  put("sys/fs/cgroup/user.slice/job/cpu.max", max);
  expect(usableCores(root)).toBe(threads);
});

test("the smallest quota of a group and the groups that hold it counts", () => {
  machine("0-7");
  put("proc/self/cgroup", "0::/a/b");
  put("sys/fs/cgroup/a/cpu.max", "100000 100000");
  put("sys/fs/cgroup/a/b/cpu.max", "300000 100000");
  expect(usableCores(root)).toBe(1);
});

test("quotas of control groups of version 1, at the path of the container's own mount", () => {
  machine("0-7");
  put("proc/self/cgroup", "5:memory:/docker/1\n3:cpu,cpuacct:/docker/1");
  put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000");
  put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");
  put("sys/fs/cgroup/memory/cpu.cfs_quota_us", "100000");
  put("sys/fs/cgroup/memory/cpu.cfs_period_us", "100000");
  expect(usableCores(root)).toBe(3);
  put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1");
  expect(usableCores(root)).toBe(4);
});

test("a system that tells nothing has as many cores as processors", () => {
  expect(usableCores(root)).toBe(availableParallelism());
});
