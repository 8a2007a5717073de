import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { availableMemory } from "../src/setup/available-memory.js";
import { proposals, type Settings } from "../src/setup/fitting.js";
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
    expect(availableMemory(undefined, machine({}))).toEqual({ bytes: 1000 * MIB, of: "in this machine" });
    const unlimited = machine({ "proc/self/cgroup": "0::/app\n", ...group("/app", "max", 10) });
    expect(availableMemory(undefined, unlimited).bytes).toBe(1000 * MIB);
  });

  test("a version 2 limit less what is used, page cache not counted as used", () => {
    const root = machine({ "proc/self/cgroup": "0::/app\n", ...group("/app", String(512 * MIB), 200, 150) });
    expect(availableMemory(undefined, root)).toEqual({ bytes: 462 * MIB, of: "within the container's limit" });
  });

  test("the tightest of the groups above", () => {
    const files = { ...group("/outer/inner", String(800 * MIB), 0), ...group("/outer", String(300 * MIB), 100) };
    expect(availableMemory(undefined, machine({ "proc/self/cgroup": "0::/outer/inner\n", ...files })).bytes).toBe(
      200 * MIB,
    );
  });

  test("a container whose path is the host's", () => {
    const root = machine({ "proc/self/cgroup": "0::/docker/abc\n", ...group("", String(256 * MIB), 6) });
    expect(availableMemory(undefined, root).bytes).toBe(250 * MIB);
  });

  test("version 1, also one without a limit", () => {
    const v1 = (limit: string) =>
      machine({
        "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n",
        "sys/fs/cgroup/memory/x/memory.limit_in_bytes": limit,
        "sys/fs/cgroup/memory/x/memory.usage_in_bytes": String(100 * MIB),
        "sys/fs/cgroup/memory/x/memory.stat": `cache 1\ntotal_inactive_file ${30 * MIB}\ntotal_active_file ${5 * MIB}\n`,
      });
    expect(availableMemory(undefined, v1(String(400 * MIB))).bytes).toBe(335 * MIB);
    expect(availableMemory(undefined, v1("9223372036854771712")).bytes).toBe(1000 * MIB);
  });

  test("a machine that does not say", () => {
    expect(availableMemory(undefined, work.path("nothing")).bytes).toBe(Number.POSITIVE_INFINITY);
  });

  test("the user's limit, less what the process holds, where it is the least", () => {
    const root = machine({});
    const held = process.memoryUsage.rss();
    const { bytes, of } = availableMemory(held + 100 * MIB, root);
    expect(of).toBe("within --memory_limit");
    expect(Math.abs(bytes - 100 * MIB)).toBeLessThan(50 * MIB);
    expect(availableMemory(held + 2000 * MIB, root)).toEqual({ bytes: 1000 * MIB, of: "in this machine" });
    expect(availableMemory(1, root).bytes).toBe(0);
  });

  test("this machine", () => {
    expect(availableMemory().bytes).toBeGreaterThan(MIB);
  });
});

describe("what would fit", () => {
  const settings: Settings = {
    precision: "fp32",
    batchSize: 8,
    accumulation: 2,
    sequence: 512,
    rank: 16,
    checkpointing: false,
  };
  /** A made-up need, in the settings' units. */
  const need = (s: Settings) =>
    (s.precision === "fp32" ? 4 : 2) * (s.batchSize * s.sequence * (s.checkpointing ? 0.5 : 1) + 64 * s.rank);

  test("each way in which one setting is enough, and no further than it must", () => {
    expect(proposals(settings, false, (s) => need(s) <= 12_500)).toEqual([
      "--gradient_checkpointing",
      "--per_device_train_batch_size 4 --gradient_accumulation_steps 4",
      "--max_seq_length 256",
      "--precision bf16",
    ]);
  });

  test("the rank, if it is the user's to choose", () => {
    const high = { ...settings, rank: 4096 };
    expect(proposals(high, false, (s) => need(s) <= 160_000)).toEqual(["--lora_r 512"]);
    expect(proposals(high, true, (s) => need(s) <= 160_000)).toEqual([]);
  });

  test("several settings together, where none is enough alone", () => {
    expect(proposals({ ...settings, rank: 1 }, false, (s) => need(s) <= 400)).toEqual([
      "--precision bf16 --per_device_train_batch_size 1 --gradient_accumulation_steps 16 --max_seq_length 256 --gradient_checkpointing",
    ]);
  });

  test("nothing", () => {
    expect(proposals(settings, false, () => false)).toEqual([]);
  });
});
