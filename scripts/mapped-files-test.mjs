#!/usr/bin/env node
// Cuts weight files and token caches, or writes to them, at random instants while runs have them mapped: training, evaluation,
// generation, merging, and two trainers of the library in one process. No process may end by a signal. Each run ends with its
// right result or with one error that names the file. The other trainer ends with the bits of an undisturbed run. A training
// run that lost its file goes on from its last checkpoint once the file is restored, to the same bits, too.
import { spawn } from "node:child_process";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "./support/arguments.mjs";
import { generator } from "./support/random.mjs";

const values = readArguments({
  about:
    "Cuts files, or writes to them, at random instants while runs have them mapped: no process may end by a signal.",
  options: {
    runs: { kind: "number", default: 100, least: 1, help: "runs that are disturbed" },
    seed: { kind: "number", default: 1, help: "seed of the instants and of the damage" },
    file: { of: ["weights", "cache"], help: "the file that is disturbed; both, in turn, where none is named" },
    damage: {
      of: ["cut", "cut and restored", "written to"],
      help: "damage that is done; each kind where none is named",
    },
  },
});

const root = fileURLToPath(new URL("..", import.meta.url));
const cli = join(root, "dist/cli/main.js");
const library = join(root, "scripts/support/two-trainers.mjs");
const tiny = join(root, "examples/tiny-base");
const work = mkdtempSync(join(tmpdir(), "lowrank-mapped-"));
const texts = join(work, "texts.jsonl");
writeFileSync(
  texts,
  readFileSync(join(root, "examples/data/train.jsonl"), "utf8").split("\n").slice(0, 200).join("\n"),
);

const random = generator(values.seed);
const below = (n) => Math.floor(random() * n);

function fail(message) {
  throw new Error(message);
}

/** Damage to a file. A name with "restored" puts the old content back. */
const DAMAGES = {
  cut: (file) => truncateSync(file, below(statSync(file).size)),
  "cut and restored": (file) => {
    const content = readFileSync(file);
    truncateSync(file, below(content.length));
    writeFileSync(file, content);
  },
  "written to": (file) => {
    const descriptor = openSync(file, "r+");
    const bytes = Buffer.alloc(1 + below(20_000), below(256));
    writeSync(descriptor, bytes, 0, bytes.length, below(statSync(file).size - bytes.length));
    closeSync(descriptor);
  },
};

const isMapped = (pid, file) => {
  try {
    return readFileSync(`/proc/${pid}/maps`, "utf8").includes(file);
  } catch {
    return false;
  }
};

/**
 * Runs a program of ours; `damage` is done `after` milliseconds after it has `file` mapped.
 * @returns how it ended, its output, and whether the damage came before the end
 */
function run(args, { file, after, damage } = {}) {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr, mappedAt, isDone, timer] = ["", "", null, false, null];
    child.stdout.on("data", (data) => (stdout += data));
    child.stderr.on("data", (data) => (stderr += data));
    const look = setInterval(() => {
      const path = file?.();
      if (!path || !isMapped(child.pid, path)) return;
      clearInterval(look);
      mappedAt = performance.now();
      if (!damage) return;
      timer = setTimeout(() => {
        damage(path);
        isDone = true;
      }, after);
    }, 2);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearInterval(look);
      clearTimeout(timer);
      const end = performance.now();
      resolve({ code, signal, stdout, stderr, isDone, milliseconds: end - begun, mapped: mappedAt && end - mappedAt });
    });
  });
}

const flags = (options) => Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
const weightsOf = (base) => join(base, "model.safetensors");
const cacheOf = (folder) => {
  const name = existsSync(folder) && readdirSync(folder).find((each) => /^[0-9a-f]{64}\.arrow$/.test(each));
  return name ? join(folder, name) : undefined;
};
const adapterOf = (output) => readFileSync(join(output, "adapter_model.safetensors")).toString("base64");

const TRAIN = {
  train_file: texts,
  ...{ max_seq_length: 64, lora_r: 4, per_device_train_batch_size: 4, learning_rate: 1e-2, max_steps: 60 },
  ...{ logging_steps: 10, eval_steps: 20, save_steps: 5, save_total_limit: 2, threads: 2 },
};
const trainArgs = (base, folder, more = []) => [
  ...[
    cli,
    "train",
    "--no-merge",
    ...flags({ ...TRAIN, base_model: base, output_dir: join(folder, "out"), cache_dir: join(folder, "cache") }),
  ],
  ...more,
];

/** Each kind of run: its arguments, the files that it maps, and its result. `adapter` is a trained one of the reference. */
const KINDS = {
  train: {
    args: (base, folder) => trainArgs(base, folder, random() < 0.5 ? ["--share_weights"] : []),
    files: ["weights", "cache"],
    result: (_, folder) => adapterOf(join(folder, "out")),
  },
  eval: {
    args: (base, folder, adapter) => [
      ...[cli, "eval", "--json", ...flags({ base_model: base, adapter, validation_file: texts, max_seq_length: 64 })],
      ...flags({ cache_dir: join(folder, "cache"), per_device_eval_batch_size: 1, threads: 2 }),
    ],
    files: ["weights", "cache"],
    result: ({ stdout }) => stdout,
  },
  generate: {
    args: (base, _, adapter) => [
      ...[
        cli,
        "generate",
        ...flags({ base_model: base, adapter, prompt: "Once", max_new_tokens: 400, temperature: 0 }),
      ],
      ...["--threads", "2"],
    ],
    files: ["weights"],
    result: ({ stdout }) => stdout,
  },
  merge: {
    args: (base, folder, adapter) => [
      cli,
      "merge",
      ...flags({ base_model: base, adapter, output_dir: join(folder, "merged") }),
    ],
    files: ["weights"],
    result: (_, folder) => readFileSync(join(folder, "merged", "model.safetensors")).toString("base64"),
  },
  library: {
    args: (base, folder) => [
      library,
      base,
      tiny,
      texts,
      join(folder, "cache"),
      random() < 0.5 ? "threads" : "together",
    ],
    files: ["weights", "cache"],
    // The second trainer's, whatever became of the first one.
    result: ({ stdout }) => JSON.parse(stdout).second,
  },
};

const counts = { errors: 0, whole: 0, early: 0 };

async function trial(number, name, references, adapter) {
  const kind = KINDS[name];
  const folder = join(work, `run-${number}`);
  const base = join(folder, "base");
  cpSync(tiny, base, { recursive: true });
  const content = readFileSync(weightsOf(base));
  const what = values.file ?? kind.files[below(kind.files.length)];
  const ways = values.damage ? [values.damage] : Object.keys(DAMAGES);
  const way = ways[below(ways.length)];
  const damage = DAMAGES[way];
  const file = what === "weights" ? () => weightsOf(base) : () => cacheOf(join(folder, "cache"));
  const { mapped, result: expected } = references[name];
  const label = `run ${number} (seed ${values.seed}): ${name}, ${what} ${way}`;
  const ended = await run(kind.args(base, folder, adapter), { file, after: random() * mapped, damage });
  const output = `${ended.stdout}\n${ended.stderr}`;
  if (ended.signal !== null) fail(`${label}: ended by ${ended.signal}\n${output}`);
  if (!ended.isDone) counts.early++;
  if (name === "library" || ended.code === 0) {
    if (ended.code !== 0) fail(`${label}: exit code ${ended.code}\n${output}`);
    if (kind.result(ended, folder) !== expected) fail(`${label}: another result than undisturbed\n${output}`);
    const { first } = name === "library" ? JSON.parse(ended.stdout) : {};
    if (first !== undefined && first !== expected && !/^E_(FILE|FILE_CHANGED|CACHE)$/.test(first.code))
      fail(`${label}: ${JSON.stringify(first)}`);
    if (first?.code) counts.errors++;
    else counts.whole++;
  } else {
    const path = ended.isDone ? file() : undefined;
    const named = ended.stderr.includes(weightsOf(base)) || ended.stderr.includes(join(folder, "cache"));
    if (ended.code !== 1 || !named || /^\s+at /m.test(ended.stderr))
      fail(`${label}: no error that names ${path}\n${output}`);
    counts.errors++;
  }
  writeFileSync(weightsOf(base), content);
  if (name === "train" && ended.code !== 0) {
    const hasCheckpoint =
      existsSync(join(folder, "out")) &&
      readdirSync(join(folder, "out")).some((each) => each.startsWith("checkpoint-"));
    const resumed = await run(trainArgs(base, folder, hasCheckpoint ? ["--resume"] : ["--overwrite_output_dir"]));
    if (resumed.code !== 0) fail(`${label}: does not go on: ${resumed.stderr}`);
    if (adapterOf(join(folder, "out")) !== expected) fail(`${label}: goes on to other bits`);
  }
  rmSync(folder, { recursive: true });
}

try {
  const references = {};
  const reference = join(work, "reference");
  for (const [name, kind] of Object.entries(KINDS)) {
    const base = join(reference, `base-${name}`);
    cpSync(tiny, base, { recursive: true });
    const file = values.file === "cache" ? () => cacheOf(join(reference, "cache")) : () => weightsOf(base);
    const ended = await run(kind.args(base, reference, join(reference, "out")), { file });
    if (ended.code !== 0) fail(`${name}: ${ended.stderr}`);
    references[name] = { mapped: ended.mapped ?? 0, result: kind.result(ended, reference) };
  }
  const names = Object.keys(KINDS).filter((name) => !values.file || KINDS[name].files.includes(values.file));
  for (let i = 1; i <= values.runs; i++) {
    await trial(i, names[i % names.length], references, join(reference, "out"));
    if (process.stderr.isTTY) process.stderr.write(`\r${i}/${values.runs}`);
  }
  process.stdout.write(
    `${values.runs} runs, ${counts.early} over before their file was touched: ${counts.errors} errors, ${counts.whole} right results, ` +
      "no process ended by a signal\n",
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
