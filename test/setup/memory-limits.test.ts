import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { heldBesides, memoryLimits } from "../../src/setup/memory/limits.js";
import { type MemorySettings, proposals } from "../../src/setup/memory/proposals.js";
import { fitsAll, mappedWarning, planOf } from "../../src/setup/memory/room.js";
import { workFolder } from "../support/tiny.js";

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

describe("limits of memory", () => {
  const machineLimit = (mib: number) => ({ bytes: mib * MIB, of: "free in this machine", countsMapped: false });
  const groupLimit = (mib: number, file: string) => {
    return { bytes: mib * MIB, of: `free within the container's limit (/sys/fs/cgroup/${file})`, countsMapped: false };
  };

  test("the machine's, without others", () => {
    expect(memoryLimits(undefined, machine({}))).toEqual([machineLimit(1000)]);
    const unlimited = machine({ "proc/self/cgroup": "0::/app\n", ...group("/app", "max", 10) });
    expect(memoryLimits(undefined, unlimited)).toEqual([machineLimit(1000)]);
  });

  test("a version 2 limit less what is used, page cache not counted as used", () => {
    const root = machine({ "proc/self/cgroup": "0::/app\n", ...group("/app", String(512 * MIB), 200, 150) });
    expect(memoryLimits(undefined, root)).toEqual([machineLimit(1000), groupLimit(462, "app/memory.max")]);
  });

  test("what the process holds already is its own to have", () => {
    const root = machine({
      "proc/self/cgroup": "0::/app\n",
      "proc/self/status": `VmRSS:\t  90000 kB\nRssAnon:\t   ${40 * 1024} kB\nRssFile:\t  50000 kB\n`,
      ...group("/app", String(512 * MIB), 200),
    });
    expect(memoryLimits(undefined, root)).toEqual([machineLimit(1040), groupLimit(352, "app/memory.max")]);
  });

  test("each group above", () => {
    const files = { ...group("/outer/inner", String(800 * MIB), 0), ...group("/outer", String(300 * MIB), 100) };
    const root = machine({ "proc/self/cgroup": "0::/outer/inner\n", ...files });
    expect(memoryLimits(undefined, root).slice(1)).toEqual([
      groupLimit(800, "outer/inner/memory.max"),
      groupLimit(200, "outer/memory.max"),
    ]);
  });

  test("a container whose path is the host's", () => {
    const root = machine({ "proc/self/cgroup": "0::/docker/abc\n", ...group("", String(256 * MIB), 6) });
    expect(memoryLimits(undefined, root).slice(1)).toEqual([groupLimit(250, "memory.max")]);
  });

  test("version 1, also one without a limit", () => {
    const v1 = (limit: string) =>
      machine({
        "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n",
        "sys/fs/cgroup/memory/x/memory.limit_in_bytes": limit,
        "sys/fs/cgroup/memory/x/memory.usage_in_bytes": String(100 * MIB),
        "sys/fs/cgroup/memory/x/memory.stat": `cache 1\ntotal_inactive_file ${30 * MIB}\ntotal_active_file ${5 * MIB}\n`,
      });
    const [, limited] = memoryLimits(undefined, v1(String(400 * MIB)));
    expect(limited).toEqual(groupLimit(335, "memory/x/memory.limit_in_bytes"));
    const [, unlimited] = memoryLimits(undefined, v1("9223372036854771712"));
    expect(unlimited!.bytes).toBeGreaterThan(2 ** 60);
  });

  test("the user's own counts everything, mapped files too", () => {
    const own = { bytes: 77, of: "allowed by --memory_limit", countsMapped: true };
    expect(memoryLimits(77, machine({}))).toEqual([machineLimit(1000), own]);
  });

  test("what is held besides some mapped files", () => {
    const mapping = (rss: number, file = "") =>
      `7f00-7f01 r--p 00000000 fe:00 12  ${file}\nSize: 9 kB\nRss: ${rss} kB\nPss: 1 kB\n`;
    const smaps =
      mapping(100, "/bin/node") + mapping(40) + mapping(5000, "/models/a b/model.safetensors") + mapping(7, "[heap]");
    const root = machine({ "proc/self/smaps": smaps });
    expect(heldBesides(new Set(["/models/a b/model.safetensors"]), root)).toBe(147 * 1024);
    expect(heldBesides(new Set(), root)).toBe(5147 * 1024);
    expect(heldBesides(new Set())).toBeGreaterThan(MIB);
  });

  test("ranks of one machine share what is free, and have the mapped base once", () => {
    const held = { "proc/self/status": `RssAnon:\t   ${40 * 1024} kB\n` };
    const root = machine({ "proc/self/cgroup": "0::/app\n", ...group("/app", String(900 * MIB), 100), ...held });
    const limits = memoryLimits(300 * MIB, root, 4);
    const share = { countsMapped: false, ranks: 4 };
    expect(limits).toEqual([
      { ...share, bytes: 290 * MIB, of: "free in this machine, for each of 4 ranks" },
      { ...share, bytes: 240 * MIB, of: `${groupLimit(0, "app/memory.max").of}, for each of 4 ranks` },
      { bytes: 300 * MIB, of: "allowed by --memory_limit", countsMapped: true },
    ]);
    const shared = limits.slice(0, 2);
    const plan = (host: number, mapped: number) =>
      planOf([
        { name: "activations", bytes: host * MIB, place: "host" },
        { name: "weights (mapped)", bytes: mapped * MIB, place: "mapped" },
      ]);
    expect(fitsAll(plan(240, 5000), shared)).toBe(true);
    expect(fitsAll(plan(241, 0), shared)).toBe(false);
    // A quarter of the base is a rank's.
    expect(mappedWarning(plan(200, 160), limits)).toBeUndefined();
    expect(mappedWarning(plan(200, 164), limits)).toMatch(/\(240\.0 MiB are free .*, for each of 4 ranks\)/);
    // --memory_limit is of the pages that one process shows.
    expect(fitsAll(plan(200, 100), limits)).toBe(true);
    expect(fitsAll(plan(200, 101), limits)).toBe(false);
  });

  test("a machine that does not say", () => {
    expect(memoryLimits(undefined, work.path("nothing"))).toMatchObject([{ bytes: Number.POSITIVE_INFINITY }]);
  });

  test("this machine", () => {
    for (const { bytes } of memoryLimits()) expect(bytes).toBeGreaterThan(MIB);
  });
});

describe("what would fit", () => {
  const settings: MemorySettings = {
    precision: "fp32",
    batchSize: 8,
    accumulation: 2,
    sequence: 512,
    rank: 16,
    checkpointing: false,
    optimizer: "adamw",
  };
  const FREE = { rank: false, base: false };
  /** A made-up need, in the settings' units. */
  const need = (s: MemorySettings) =>
    (s.precision === "fp32" ? 4 : 2) * (s.batchSize * s.sequence * (s.checkpointing ? 0.5 : 1) + 64 * s.rank);

  test("each way in which one setting is enough, and no further than it must", () => {
    expect(proposals(settings, FREE, (s) => need(s) <= 12_500)).toEqual([
      "--gradient_checkpointing",
      "--per_device_train_batch_size 4 --gradient_accumulation_steps 4",
      "--max_seq_length 256",
      "--precision bf16",
    ]);
  });

  test("the rank, if it is the user's to choose", () => {
    const high = { ...settings, rank: 4096 };
    expect(proposals(high, FREE, (s) => need(s) <= 160_000)).toEqual(["--lora_r 512"]);
    expect(proposals(high, { ...FREE, rank: true }, (s) => need(s) <= 160_000)).toEqual([]);
  });

  test("several settings together, where none is enough alone", () => {
    expect(proposals({ ...settings, rank: 1 }, FREE, (s) => need(s) <= 400)).toEqual([
      "--precision bf16 --per_device_train_batch_size 1 --gradient_accumulation_steps 16 --max_seq_length 256 --gradient_checkpointing",
    ]);
  });

  test("nothing", () => {
    expect(proposals(settings, FREE, () => false)).toEqual([]);
  });
});
