#!/usr/bin/env node
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
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
    quick: { kind: "flag", help: "one error of each kernel file, with the part of the cases that catches it" },
    orders: { kind: "number", least: 1, default: 5, help: "orders of threads that are tried" },
  },
});

/**
 * name; the file and its text, before and after; the operation and the part of its cases that must fail; `units` compile a header; `quick`: also of a
 * quick run.
 */
const flash = { op: "attention_bwd", cases: "act=bf16" };
const bwd = { file: "flash_attention_bwd.cu", ...flash };
const tiles = { file: "flash_tiles.h", units: ["flash_attention_bwd", "flash_attention"], ...flash };
const masks = { ...tiles, cases: "dropout" };
const fwd = { file: "flash_attention.cu", op: "attention_fwd", cases: "act=bf16" };
const softmax = { file: "attention_products.cu", op: "attention_bwd", cases: "act=f32" };
const products = {
  file: "attention_products.cpp",
  units: ["attention_products.cpp"],
  op: "attention_bwd",
  cases: "act=f32",
};
const wide = { file: "wide.h", units: ["rows", "elements", "linear", "decode"], op: "norm_apply" };
const fewRows = { file: "few_rows.cu", op: "linear_fwd", cases: "act=bf16 w=nf4" };
const borderedCases = { op: "linear_fwd", cases: "act=bf16 w=nf4" };
const bordered = { file: "cuda_linear.cpp", ...borderedCases };
const int8 = { file: "linear_int8.cu", op: "linear_fwd", cases: "w=i8" };
const sampling = { file: "sampling.cu", op: "sample" };
const lanes = { file: "lanes.cpp", op: "copies" };
const ERRORS = [
  { name: "dq: the diagonal is hidden", ...bwd, from: "key < to[i];", to: "key + 1 < to[i];" },
  { name: "dq: the window is one too long", ...bwd, from: "key >= from[i]", to: "key + 1 >= from[i]" },
  { name: "dq: no slope of the cap", ...bwd, from: " - delta[i]) * score.slope", to: " - delta[i])" },
  { name: "dq: delta is not subtracted", ...bwd, from: " - delta[i]) *", to: ") *" },
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
  { name: "masks: rows change places", ...masks, from: "(half ? others : own)", to: "(half ? own : others)" },
  { name: "masks: the second key's number twice", ...masks, from: "first >> 1", to: "first" },
  { name: "masks: the first of four keys for all", ...masks, from: "(4 * (own ^ e))) >> own", to: "(4 * (own ^ e)))" },
  { name: "masks: keys eight further are the same", ...masks, from: "+ own / 2 * 8", to: "" },
  { name: "masks: another token's", ...masks, from: "s.dropout.now()", to: "s.dropout" },
  { name: "products: dv without a mask", ...softmax, cases: "dropout", from: "weight = mask * p", to: "weight = p" },
  {
    name: "products: no slope of the cap",
    quick: true,
    ...softmax,
    cases: "cap",
    from: "- delta) * score.slope",
    to: "- delta)",
  },
  {
    name: "products: the head of another group",
    ...softmax,
    cases: "act=f32",
    from: "(c.first_group + g) *",
    to: "g *",
  },
  { name: "products: the keys before stay", ...softmax, from: "c >= r.begin && c < r.end) {", to: "c < r.end) {" },
  {
    name: "products: rows beyond the last are read",
    ...softmax,
    from: "token < from.mat.rows && d < dim",
    to: "d < dim",
  },
  {
    name: "products: sums do not fade",
    ...softmax,
    op: "attention_fwd",
    from: "own_sum * expf(own_top - higher)",
    to: "own_sum",
  },
  {
    name: "products: keys of the first chunk",
    ...products,
    cases: "window",
    from: "rows - first), first_key,",
    to: "rows - first), 0,",
  },
  {
    name: "products: gradients of the last chunk",
    ...products,
    from: ".accumulates = true",
    to: ".accumulates = false",
  },
  {
    name: "products: not scaled",
    ...products,
    from: "c.groups, s.scale);\n    key_product",
    to: "c.groups);\n    key_product",
  },
  { name: "forward: sums do not fade", ...fwd, from: "sum[i] *= fade[i];", to: "" },
  {
    name: "dropout: the stream stands still",
    file: "elements.cu",
    from: "a.dropout.now()",
    to: "a.dropout",
    op: "dropout",
  },
  {
    name: "noise: the offset stands still",
    quick: true,
    file: "elements.cu",
    from: "args.now()",
    to: "args",
    op: "add_noise",
  },
  {
    name: "a linear's dropout stands still",
    quick: true,
    file: "linear.cu",
    from: "dropout.now()",
    to: "dropout",
    op: "linear_fwd",
  },
  { name: "the loss scale is not read", file: "loss.cu", from: "varying->loss_scale : 1", to: "1 : 1", op: "head" },
  {
    name: "wide masks: a block of numbers twice",
    ...wide,
    units: ["elements", "linear"],
    from: "j / 4 + k)",
    to: "j / 4)",
    op: "dropout",
  },
  {
    name: "cross-entropy: sums do not fade",
    quick: true,
    file: "loss.cu",
    from: "own_sum *= expf(own_top - top);",
    to: "",
    op: "head",
  },
  {
    name: "AdamW: the part before",
    quick: true,
    file: "optimizer.cu",
    from: "first_block <= block) number++",
    to: "first_block < block) number++",
    op: "adamw",
  },
  {
    name: "AdamW: codes of the other moment",
    file: "optimizer.cu",
    from: "v_codes[i] = nearest(second,",
    to: "v_codes[i] = nearest(first,",
    op: "adamw",
  },
  {
    name: "rotation the other way",
    quick: true,
    file: "elements.cu",
    from: "a.inverse ? -s[k] : s[k]",
    to: "a.inverse ? s[k] : -s[k]",
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
    from: "m + part.rest1 * (g - m)",
    to: "m + part.beta2 * (g - m)",
    op: "adamw",
  },
  {
    name: "wide: halves change places",
    quick: true,
    ...wide,
    from: "half(v[2 * k]) | half(v[2 * k + 1]) <<",
    to: "half(v[2 * k + 1]) | half(v[2 * k]) <<",
  },
  { name: "wide: one line twice", ...wide, from: "v[4 * i + k] = std", to: "v[k] = std" },
  {
    name: "decode: halves of a byte change places",
    quick: true,
    file: "decoding.h",
    units: ["decode", "few_rows"],
    from: "(k % 2 ? 0 : 4)",
    to: "(k % 2 ? 4 : 0)",
    op: "linear_fwd",
  },
  {
    name: "few rows: half of a run twice",
    quick: true,
    ...fewRows,
    from: "behind, pair_of",
    to: "before, pair_of",
  },
  {
    name: "few rows: warps take each other's columns",
    ...fewRows,
    from: "begin += kProductWarps *",
    to: "begin += 1 *",
  },
  { name: "few rows: parts are not waited for", ...fewRows, from: "__syncthreads();", to: "" },
  { name: "few rows: eight of them", ...fewRows, from: "row + 8 < x.rows", to: "row + 16 < x.rows" },
  {
    name: "bordered: other values behind the adapter's",
    quick: true,
    file: "linear.cu",
    ...borderedCases,
    from: "if (c < from.cols) read(from",
    to: "read(from",
  },
  {
    name: "bordered: u over x",
    ...bordered,
    from: "pad_columns(u, columns(all, x.cols,",
    to: "pad_columns(u, columns(all, 0,",
  },
  { name: "bordered: B over W", ...bordered, from: "columns(all, w.cols, further)", to: "columns(all, 0, further)" },
  {
    name: "bordered: weights as if they had no columns behind",
    ...bordered,
    from: "stored.cols + stored.spare",
    to: "stored.cols",
    cases: "act=bf16 w=bf16",
  },
  {
    name: "bordered: the first rows of B beside every part of a weight",
    ...bordered,
    from: "(const_cast<float*>(l.b) + first * l.rank",
    to: "(const_cast<float*>(l.b)",
  },
  {
    name: "decoded in parts: the first rows for each",
    ...bordered,
    from: "decode(w, first, out",
    to: "decode(w, 0, out",
  },
  {
    name: "decoded in parts: backward the last one alone",
    ...bordered,
    from: "        begun = true;\n      });",
    to: "      });",
    op: "linear_bwd",
    cases: "act=bf16 w=f32",
  },
  {
    name: "bordered: weights are decoded as if they had no columns behind",
    file: "decoding.h",
    units: ["decode", "few_rows"],
    from: "w.stored().cols + w.spare",
    to: "w.stored().cols",
    op: "row_norms",
  },
  {
    name: "bordered: parts of a weight's copy over one another",
    file: "cuda_backend.cpp",
    units: ["cuda_backend.cpp"],
    from: "n * stride, to + first * stride",
    to: "n * stride, to + first * bytes",
    op: "linear_bwd",
    cases: "act=bf16 w=bf16",
  },
  {
    name: "bordered: the input before is still there",
    ...bordered,
    from: "if (!a.same_x) copied_ = {};",
    to: "",
    op: "training",
    cases: "",
  },
  { name: "int8: outliers have codes", ...int8, from: "leaves[k] ? 0 : rintf", to: "rintf" },
  { name: "int8: columns over one another", quick: true, ...int8, from: "at += counts[i]", to: "at = counts[i]" },
  { name: "int8: rows of the first part", ...int8, from: "first + part * kWide", to: "first" },
  { name: "int8: weights of the first columns", ...int8, from: "row[columns[j]]", to: "row[j]" },
  { name: "sampling: one token fewer", ...sampling, from: "uint64_t(filter.top_k)", to: "uint64_t(filter.top_k) - 1" },
  { name: "sampling: each part's first", ...sampling, from: "nth -= counts[i];", to: "" },
  {
    name: "sampling: a column of sums is not waited for",
    quick: true,
    ...sampling,
    from: "__syncthreads();\n    uint64_t total",
    to: "uint64_t total",
  },
  {
    name: "copies do not wait for operations",
    quick: true,
    ...lanes,
    from: "device_.await(released(lane), Device::Queue::copies);",
    to: "",
  },
  {
    name: "operations do not wait for copies",
    ...lanes,
    from: "device_.await(copied(lane), Device::Queue::operations);",
    to: "",
  },
  { name: "the host does not wait for copies", ...lanes, from: "device_.await(copied(lane));", to: "" },
];

const ORDERS = ["ascending", "descending", "random:1", "random:2", "random:3"].slice(
  0,
  options.quick ? 2 : options.orders,
);
const build = join(root, options.build);
/** A kernel file is compiled through a file of the build that includes it, any other as it is. */
function unitOf(name) {
  const isKernel = !name.endsWith(".cpp");
  return {
    target: `CMakeFiles/lowrank_cuda_${isKernel ? "kernels" : "host"}_emulated.dir`,
    source: isKernel ? `emulated/${name}_cu.cpp` : `native/cuda/${name}`,
  };
}
const read = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return fail(`${path} is not there: npm run test:native builds it`);
  }
};
const commands = JSON.parse(read(join(build, "compile_commands.json")));
/** How the emulated plugin is linked: make has a file that says so, ninja a command. */
const link = existsSync(join(build, "build.ninja"))
  ? execFileSync("ninja", ["-t", "commands", "liblowrank_cuda_emulated.so"], {
      cwd: build,
      encoding: "utf8",
      maxBuffer: 2 ** 28,
    })
      .trim()
      .split("\n")
      .at(-1)
  : read(join(build, "CMakeFiles/lowrank_cuda_emulated.dir/link.txt")).trim();
const folder = mkdtempSync(join(tmpdir(), "lowrank-mutants-"));

const shell = (command) =>
  new Promise((resolve, reject) => {
    const child = spawn("sh", ["-c", command], { cwd: build });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
    child.on("close", (status) => (status === 0 ? resolve() : reject(new Error(output.slice(-2000)))));
  });

/** The plugin of the sources with `units` compiled anew; copies in the folder `own` come before the sources. */
async function buildPlugin(own, units) {
  let linking = link;
  for (const unit of units) {
    const { target, source } = unitOf(unit);
    const { file, command } = commands.find(
      ({ file: path, command: of }) => path.endsWith(`/${source}`) && of.includes(target),
    );
    const object = `${target}/${source}.o`;
    const compiled = join(own, `${unit}.o`);
    const copy = join(own, "cuda", unit);
    const from = existsSync(copy) ? `-c ${copy}` : `-c ${file}`;
    await shell(
      command
        .replace(" -I", ` -I${own} -I`)
        .replace(" -Werror", "")
        .replace(object, compiled)
        .replace(`-c ${file}`, from),
    );
    linking = linking.replace(object, compiled);
  }
  const plugin = join(own, "plugin.so");
  await shell(linking.replace("-o liblowrank_cuda_emulated.so", `-o ${plugin}`));
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

async function tryError(error, number) {
  const { name, file, from, to, units = [file.replace(".cu", "")] } = error;
  const source = read(join(root, "native/cuda", file));
  if (!source.includes(from)) return report(false, `${name}: ${file} has no "${from}"`);
  const own = join(folder, String(number));
  mkdirSync(join(own, "cuda"), { recursive: true });
  writeFileSync(join(own, "cuda", file), source.replaceAll(from, to));
  const plugin = await buildPlugin(own, units).catch(({ message }) => report(false, `${name}: ${message}`));
  if (plugin === undefined) return;
  let caught;
  for (const order of ORDERS) {
    const { passes, said } = await run(plugin, error, order);
    if (!passes) {
      caught = `${order}: ${said}`;
      break;
    }
  }
  rmSync(own, { recursive: true });
  report(caught !== undefined, `${name}: ${caught ?? "not caught"}`);
}

const wanted = ERRORS.filter(({ name, quick }) => name.includes(options.filter ?? "") && (quick || !options.quick));
const parts = new Map(wanted.map((error) => [`${error.op} ${error.cases ?? ""}`, error]));
const whole = join(build, "liblowrank_cuda_emulated.so");
async function tryPart([part, error], order) {
  const { passes, said } = await run(whole, error, order);
  report(passes && !said.startsWith("0 passed"), `no error: ${part}, ${order}: ${said}`);
}
const work = [
  ...wanted.map((error, number) => () => tryError(error, number)),
  ...[...parts].flatMap((part) => ORDERS.map((order) => () => tryPart(part, order))),
];
try {
  await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      for (let next = work.shift(); next; next = work.shift()) await next();
    }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
