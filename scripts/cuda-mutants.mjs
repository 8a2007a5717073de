#!/usr/bin/env node
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fail, readArguments } from "./support/arguments.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const options = readArguments({
  about: `Tests the tests of the CUDA kernels: each small error of the list is put into a copy of the sources, which the emulation then runs. The
operation's cases must fail in one of five orders of threads. Without an error they must pass in all of them. It needs the native tests' build (npm run
test:native). Ends with "N passed, N failed".`,
  options: {
    build: { value: "FOLDER", default: "build/cmake", help: "of the native tests" },
    filter: { help: "errors whose name holds this text" },
    orders: { kind: "number", least: 1, default: 5, help: "orders of threads that are tried" },
  },
});

/** name; the file and its text, before and after; the operation and the part of its cases that must fail; `units` compile a header. */
const flash = { op: "attention_bwd", cases: "act=bf16" };
const bwd = { file: "flash_attention_bwd.cu", ...flash };
const tiles = { file: "flash_tiles.h", units: ["flash_attention_bwd", "flash_attention"], ...flash };
const fwd = { file: "flash_attention.cu", op: "attention_fwd", cases: "act=bf16" };
const wide = { file: "wide.h", units: ["rows", "elements", "linear", "decode"], op: "norm_apply" };
const ERRORS = [
  { name: "dq: the diagonal is hidden", ...bwd, from: "key < to[i];", to: "key + 1 < to[i];" },
  { name: "dq: the window is one too long", ...bwd, from: "key >= from[i]", to: "key + 1 >= from[i]" },
  { name: "dq: no slope of the cap", ...bwd, from: "(ds[c][e] - delta[i]) * score.slope", to: "(ds[c][e] - delta[i])" },
  { name: "dq: delta is not subtracted", ...bwd, from: "(ds[c][e] - delta[i])", to: "ds[c][e]" },
  { name: "dq: not scaled", ...bwd, from: "s.scale * dq", to: "dq" },
  { name: "dq: values in place of keys", ...bwd, from: "(dq, ds, k, lane.index)", to: "(dq, ds, v, lane.index)" },
  { name: "dk: the bias is of another key", ...bwd, from: "weights[c][e], h, key[i])", to: "weights[c][e], h, query)" },
  { name: "dk: the log-sum-exp of another head", ...bwd, from: "t / tiles_of_head, first", to: "0, first" },
  {
    name: "dk: the queries of one head",
    ...bwd,
    from: "tiles = per_group * tiles_of_head",
    to: "tiles = tiles_of_head",
  },
  {
    name: "dk: the window ends early",
    ...bwd,
    from: "smaller(key + s.window, n)",
    to: "smaller(key + s.window - 1, n)",
  },
  { name: "dk: a column's half twice", ...bwd, from: "blockIdx.y % kParts) * kOut", to: "blockIdx.y % kParts) * 0" },
  { name: "dv: weights with the slope", ...bwd, from: "(dv, weights, d_o", to: "(dv, ds, d_o" },
  { name: "tiles: rows beyond the last are read", ...tiles, from: "r < rows && c < dim", to: "c < dim" },
  { name: "tiles: columns beyond a head are read", ...tiles, from: "r < rows && c < dim", to: "r < rows" },
  { name: "tiles: the last tile is forgotten", ...tiles, from: "+ kTileRows - 1) / kTileRows;", to: ") / kTileRows;" },
  {
    name: "tiles: halves of a pair change places",
    ...tiles,
    from: "pair_of(low[0], low[1])",
    to: "pair_of(low[1], low[0])",
  },
  { name: "forward: sums do not fade", ...fwd, from: "sum[i] *= fade[i];", to: "" },
  {
    name: "rotation the other way",
    file: "elements.cu",
    from: "a.inverse ? -a.sin",
    to: "a.inverse ? a.sin",
    op: "rope",
  },
  {
    name: "logits change while they are read",
    file: "loss.cu",
    from: "  if (!a.gradient) return;\n  __syncthreads();",
    to: "  if (!a.gradient) return;",
    op: "head",
  },
  {
    name: "moments swap their factors",
    file: "optimizer.cu",
    from: "m + f.rest1 * (g - m)",
    to: "m + f.beta1 * (g - m)",
    op: "adamw",
  },
  {
    name: "wide: halves change places",
    ...wide,
    from: "half(v[2 * k]) | half(v[2 * k + 1]) <<",
    to: "half(v[2 * k + 1]) | half(v[2 * k]) <<",
  },
  { name: "wide: one line twice", ...wide, from: "v[4 * i + k] = std", to: "v[k] = std" },
  {
    name: "decode: halves of a byte change places",
    file: "decode.cu",
    from: "(k % 2 ? 0 : 4)",
    to: "(k % 2 ? 4 : 0)",
    op: "linear_fwd",
  },
];

const ORDERS = ["ascending", "descending", "random:1", "random:2", "random:3"].slice(0, options.orders);
const build = join(root, options.build);
const target = "CMakeFiles/lowrank_cuda_kernels_emulated.dir";
const read = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return fail(`${path} is not there: npm run test:native builds it`);
  }
};
const commands = JSON.parse(read(join(build, "compile_commands.json")));
const link = read(join(build, "CMakeFiles/lowrank_cuda_emulated.dir/link.txt")).trim();
const folder = mkdtempSync(join(tmpdir(), "lowrank-mutants-"));
mkdirSync(join(folder, "cuda"));

/** The plugin of the sources with `units` compiled anew; the copies in `folder` come before the sources. */
function buildPlugin(units) {
  let linking = link;
  for (const unit of units) {
    const { command } = commands.find(
      ({ file, command: of }) => file.endsWith(`/emulated/${unit}_cu.cpp`) && of.includes(target),
    );
    const object = `${target}/emulated/${unit}_cu.cpp.o`;
    const own = join(folder, `${unit}.o`);
    const compile = command.replace(" -I", ` -I${folder} -I`).replace(" -Werror", "").replace(object, own);
    execFileSync("sh", ["-c", compile], { cwd: build, stdio: ["ignore", "ignore", "pipe"] });
    linking = linking.replace(object, own);
  }
  const plugin = join(folder, "plugin.so");
  execFileSync("sh", ["-c", linking.replace("-o liblowrank_cuda_emulated.so", `-o ${plugin}`)], { cwd: build });
  return plugin;
}

/** How the cases of an operation end: whether all passed, and the last line. */
const run = (plugin, { op, cases = "" }, order) =>
  new Promise((resolve) => {
    const filter = cases ? ["--filter", cases] : [];
    const child = spawn(join(build, "lowrank_op_cases"), ["device", "--plugin", plugin, "--op", op, ...filter], {
      env: { ...process.env, LOWRANK_EMULATION_ORDER: order },
      timeout: 300_000, // a kernel that never ends
    });
    let output = "";
    const read = (data) => {
      output += data;
      if (/^FAIL /m.test(output)) child.kill(); // one case is enough
    };
    for (const stream of [child.stdout, child.stderr]) stream.on("data", read);
    child.on("close", (status) => {
      const lines = output.trim().split("\n");
      resolve({ passes: status === 0, said: lines.find((line) => line.startsWith("FAIL ")) ?? lines.at(-1) });
    });
  });

let [passed, failed] = [0, 0];
const report = (holds, line) => {
  if (holds) passed++;
  else failed++;
  console.log(`${holds ? "ok  " : "FAIL"} ${line}`);
};

const wanted = ERRORS.filter(({ name }) => name.includes(options.filter ?? ""));
try {
  for (const error of wanted) {
    const { name, file, from, to, units = [file.replace(".cu", "")] } = error;
    const source = read(join(root, "native/cuda", file));
    const copy = join(folder, "cuda", file);
    if (!source.includes(from)) {
      report(false, `${name}: ${file} has no "${from}"`);
      continue;
    }
    writeFileSync(copy, source.replaceAll(from, to));
    const plugin = buildPlugin(units);
    rmSync(copy);
    let caught;
    for (const order of ORDERS) {
      const { passes, said } = await run(plugin, error, order);
      if (!passes) {
        caught = `${order}: ${said}`;
        break;
      }
    }
    report(caught !== undefined, `${name}: ${caught ?? "not caught"}`);
  }
  const plain = buildPlugin([]);
  const parts = new Map(wanted.map((error) => [`${error.op} ${error.cases ?? ""}`, error]));
  for (const [part, error] of parts) {
    for (const order of ORDERS) {
      const { passes, said } = await run(plain, error, order);
      report(passes && !said.startsWith("0 passed"), `no error: ${part}, ${order}: ${said}`);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
