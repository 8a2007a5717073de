import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { availableMemory } from "../src/commands/available-memory.js";
import { workFolder } from "./support/tiny.js";

const work = workFolder("memory");
afterAll(work.remove);

const MIB = 2 ** 20;
let machines = 0;

/** A made-up /proc and /sys. */
function machine(files: Record<string, string>): string {
  const root = `machine-${machines++}`;
  for (const [name, text] of Object.entries({ "proc/meminfo": meminfo(1000), ...files })) {
    mkdirSync(dirname(work.path(root, name)), { recursive: true });
    writeFileSync(work.path(root, name), text);
  }
  return work.path(root);
}

const meminfo = (mib: number) => `MemTotal:  9999999 kB\nMemFree: 12 kB\nMemAvailable:   ${mib * 1024} kB\n`;

/** Files of a version 2 group. */
const group = (folder: string, limit: string, used: number, cache = 0) => ({
  [`sys/fs/cgroup${folder}/memory.max`]: `${limit}\n`,
  [`sys/fs/cgroup${folder}/memory.current`]: `${used * MIB}\n`,
  [`sys/fs/cgroup${folder}/memory.stat`]: `anon 5\nfile 7\ninactive_file ${cache * MIB}\nactive_file 0\n`,
});

describe("available memory", () => {
  test("the machine's, without a limit", () => {
    expect(availableMemory(machine({}))).toEqual({ bytes: 1000 * MIB, of: "in this machine" });
    const unlimited = machine({ "proc/self/cgroup": "0::/app\n", ...group("/app", "max", 10) });
    expect(availableMemory(unlimited).bytes).toBe(1000 * MIB);
  });

  test("a version 2 limit less what is used, page cache not counted as used", () => {
    const root = machine({ "proc/self/cgroup": "0::/app\n", ...group("/app", String(512 * MIB), 200, 150) });
    expect(availableMemory(root)).toEqual({ bytes: 462 * MIB, of: "within the container's limit" });
  });

  test("the tightest of the groups above", () => {
    const files = { ...group("/outer/inner", String(800 * MIB), 0), ...group("/outer", String(300 * MIB), 100) };
    expect(availableMemory(machine({ "proc/self/cgroup": "0::/outer/inner\n", ...files })).bytes).toBe(200 * MIB);
  });

  test("a container whose path is the host's", () => {
    const root = machine({ "proc/self/cgroup": "0::/docker/abc\n", ...group("", String(256 * MIB), 6) });
    expect(availableMemory(root).bytes).toBe(250 * MIB);
  });

  test("version 1, also one without a limit", () => {
    const v1 = (limit: string) =>
      machine({
        "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n",
        "sys/fs/cgroup/memory/x/memory.limit_in_bytes": limit,
        "sys/fs/cgroup/memory/x/memory.usage_in_bytes": String(100 * MIB),
        "sys/fs/cgroup/memory/x/memory.stat": `cache 1\ntotal_inactive_file ${30 * MIB}\ntotal_active_file ${5 * MIB}\n`,
      });
    expect(availableMemory(v1(String(400 * MIB))).bytes).toBe(335 * MIB);
    expect(availableMemory(v1("9223372036854771712")).bytes).toBe(1000 * MIB);
  });

  test("a machine that does not say", () => {
    expect(availableMemory(work.path("nothing")).bytes).toBe(Number.POSITIVE_INFINITY);
  });

  test("this machine", () => {
    expect(availableMemory().bytes).toBeGreaterThan(MIB);
  });
});
