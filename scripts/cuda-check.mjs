#!/usr/bin/env node
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fail, readArguments } from "./support/arguments.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const options = readArguments({
  about: `Compiles every CUDA kernel for every GPU of the list, without a GPU: warnings, spills and local memory are errors, and registers and shared
memory must keep within native/cuda/budget.json. Then it builds the plugin, which must need no library of NVIDIA and say what is missing here. nvcc
is the one of CUDACXX, else of the machine, else of pip, which is installed once into the cache. Ends with "N passed, N failed".`,
  options: {
    update: { kind: "flag", help: "writes the budget anew" },
    "no-plugin": { kind: "flag", help: "kernels alone" },
    archs: {
      value: "LIST",
      default: "80,86,89,90,100,120",
      help: "compute capabilities; those that nvcc does not know are left out",
    },
  },
});

/** nvcc and the headers of the runtime and of cuBLASLt. Another compiler uses other numbers of registers, which the budget would not fit. */
const WHEELS = [
  "nvidia-cuda-nvcc==13.5.37",
  "nvidia-cuda-runtime==13.5.37",
  "nvidia-cuda-cccl==13.3.5.0.6",
  "nvidia-cublas==13.10.0.20",
];

/** The folder of pip's CUDA, installed where it is not there. */
function pipToolkit() {
  const venv = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "lowrank-cuda");
  const find = () => {
    const lib = join(venv, "lib");
    const python = existsSync(lib) ? readdirSync(lib).find((name) => name.startsWith("python3")) : undefined;
    const found = python && join(lib, python, "site-packages/nvidia/cu13");
    return found && existsSync(join(found, "include/cublasLt.h")) ? found : undefined;
  };
  const found = find();
  if (found) return found;
  console.log(`installing ${WHEELS.join(", ")} into ${venv}`);
  execFileSync("python3", ["-m", "venv", venv], { stdio: "inherit" });
  execFileSync(join(venv, "bin/pip"), ["install", "-q", ...WHEELS], { stdio: "inherit" });
  return find() ?? fail(`${venv} has no CUDA toolkit after pip install`);
}

function compiler() {
  if (process.env.CUDACXX) return process.env.CUDACXX;
  try {
    return execFileSync("sh", ["-c", "command -v nvcc"], { encoding: "utf8" }).trim();
  } catch {
    return join(pipToolkit(), "bin/nvcc");
  }
}

const nvcc = compiler();
const known = execFileSync(nvcc, ["--list-gpu-code"], { encoding: "utf8" });
const archs = options.archs.split(",").filter((arch) => known.includes(`sm_${arch}\n`));
console.log(`${nvcc}: ${archs.map((arch) => `sm_${arch}`).join(", ")}`);

const run = (command, args) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
    child.on("error", (error) => resolve({ status: 1, output: String(error) }));
    child.on("close", (status) => resolve({ status, output }));
  });

const ENTRY =
  /Compiling entry function '(\S+)' for 'sm_(\w+)'[\s\S]*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads[\s\S]*?Used (\d+) registers(?:[^\n]*?, (\d+) bytes smem)?/g;
/** The kernel's own name in a mangled one. */
const shortName = (mangled) => /_cu_[0-9a-f]{8}\d+([a-z]\w*?_kernel)/.exec(mangled)?.[1] ?? mangled;

const budgetFile = join(root, "native/cuda/budget.json");
const budget = existsSync(budgetFile) && !options.update ? JSON.parse(readFileSync(budgetFile, "utf8")) : {};
let [passed, failed] = [0, 0];
const wrong = (message) => {
  failed++;
  console.log(`FAIL ${message}`);
};

async function compile(file, arch) {
  const flags = [
    "-std=c++20",
    "-O3",
    `-gencode=arch=compute_${arch},code=sm_${arch}`,
    "-cubin",
    "-Inative",
    "--expt-relaxed-constexpr",
  ];
  const strict = ["-Werror", "all-warnings", "-Xptxas", "-v,-warn-spills,-warn-lmem-usage,-Werror"];
  const own = ["decode.cu", "few_rows.cu"].includes(file) ? ["-fmad=false"] : []; // as CMakeLists.txt has it
  const { status, output } = await run(nvcc, [
    ...flags,
    ...own,
    ...strict,
    join("native/cuda", file),
    "-o",
    "/dev/null",
  ]);
  if (status !== 0) {
    const errors = output.split("\n").filter((line) => /error|warning/i.test(line));
    return wrong(`${file} sm_${arch}: ${errors.slice(0, 5).join("\n     ") || output.slice(-500)}`);
  }
  for (const [, mangled, sm, stack, stores, loads, registers, shared = "0"] of output.matchAll(ENTRY)) {
    const name = shortName(mangled);
    if (Number(stack) + Number(stores) + Number(loads) > 0) wrong(`${name} sm_${sm}: ${stack} bytes of stack`);
    const found = { registers: Number(registers), shared: Number(shared) };
    const most = budget[name];
    if (options.update) {
      const { registers: r = 0, shared: s = 0 } = most ?? {};
      budget[name] = { registers: Math.max(r, found.registers), shared: Math.max(s, found.shared) };
    } else if (!most) wrong(`${name}: not in ${basename(budgetFile)} (--update)`);
    else if (found.registers > most.registers || found.shared > most.shared) {
      wrong(
        `${name} sm_${sm}: ${found.registers} registers, ${found.shared} bytes shared; budget ${most.registers}, ${most.shared}`,
      );
    } else passed++;
  }
}

const files = readdirSync(join(root, "native/cuda")).filter((name) => name.endsWith(".cu"));
const work = archs.flatMap((arch) => files.map((file) => () => compile(file, arch)));
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let next = work.shift(); next; next = work.shift()) await next();
  }),
);
if (options.update) {
  const sorted = Object.fromEntries(Object.entries(budget).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(budgetFile, `${JSON.stringify(sorted, null, 2)}\n`);
}

/** Libraries that the plugin may need: none of NVIDIA's. */
const ALLOWED = /^(libc|libm|libstdc\+\+|libgcc_s|libpthread|libdl|ld-linux-x86-64)\.so/;

async function buildPlugin() {
  const build = join(root, "build/cuda");
  mkdirSync(build, { recursive: true });
  const configure = [
    "-S",
    ".",
    "-B",
    build,
    "-DCMAKE_BUILD_TYPE=Release",
    "-DLOWRANK_ADDON=OFF",
    "-DLOWRANK_CUDA=ON",
    "-DLOWRANK_WERROR=ON",
  ];
  const named = [`-DCMAKE_CUDA_COMPILER=${nvcc}`, "-DLOWRANK_CUDA_ARCHITECTURES=90"];
  const library = join(root, "build/Release/liblowrank_cuda.so");
  for (const args of [
    [...configure, ...named],
    ["--build", build, "-j", String(availableParallelism()), "--target", "lowrank_cuda"],
  ]) {
    const { status, output } = await run("cmake", args);
    if (status !== 0) return wrong(`cmake ${args[0]}: ${output.slice(-2000)}`);
  }
  const dynamic = execFileSync("readelf", ["-d", library], { encoding: "utf8" });
  const needed = [...dynamic.matchAll(/NEEDED.*\[(.*)\]/g)].map(([, name]) => name);
  const foreign = needed.filter((name) => !ALLOWED.test(name));
  if (foreign.length > 0) wrong(`the plugin needs ${foreign.join(", ")}`);
  else passed++;
  // Loaded by the addon: of the same headers, and without a driver it says so.
  const { output } = await run(process.execPath, ["dist/cli/main.js", "devices", "--json"]);
  const { devices = [], missing = output } = JSON.parse(output.startsWith("{") ? output : "{}");
  if (devices.length > 1 || /NVIDIA driver/.test(missing)) passed++;
  else wrong(`lowrank devices: ${missing}`);
  console.log(`plugin: ${needed.join(", ")}; ${devices.length > 1 ? `${devices.length - 1} GPUs` : missing}`);
}
if (!options["no-plugin"]) await buildPlugin();

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
