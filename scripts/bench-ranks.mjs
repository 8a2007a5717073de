#!/usr/bin/env node
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { lines } from "./bench/lines.mjs";
import { median } from "./bench/median.mjs";
import { lastJson, peerPython } from "./bench/peer.mjs";
import { randomModel, SHAPES } from "./bench/random-model.mjs";
import { readArguments } from "./support/arguments.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const CHILD = here("./bench/engine-steps.mjs");
const PEER_STEPS = here("./bench/peft_steps.py");
const PEER_TRAIN = here("../../shared/peer/peft_train.py");
const CLI = here("../dist/cli/main.js");

const number = (least, standard, help) => ({ kind: "number", least, default: standard, help });
const o = readArguments({
  about:
    "Ranks, targets and variants: speed, peak memory, adapter size and first step, beside PEFT in turn. With --base also lowrank sweep beside single runs, and beside PEFT's runs.",
  options: {
    shape: { default: "smollm2-135m", of: Object.keys(SHAPES), help: "shape of the base whose steps are timed" },
    precision: { default: "bf16", of: ["bf16", "fp32"], help: "of both" },
    ranks: { value: "LIST", default: "1,2,4,8,16,32,64,128,256", help: "ranks on q, k, v, o whose steps are timed" },
    targets: { kind: "flag", help: "also time targets, at rank 16" },
    variants: { kind: "flag", help: "also time variants, at rank 16" },
    batch: number(1, 4, "sequences of a step"),
    seq: number(2, 512, "tokens of a sequence"),
    steps: number(1, 3, "timed steps of a run"),
    rounds: number(1, 3, "runs of each case"),
    base: { value: "FOLDER", default: "", help: "a model folder to sweep on; without it no sweep is measured" },
    "train-file": { value: "FILE", default: "", help: "texts of the sweep, JSON Lines with the column text" },
    "validation-file": { value: "FILE", default: "", help: "texts to evaluate on" },
    "sweep-ranks": { value: "LIST", default: "4,8,16,32,64", help: "ranks of the sweep" },
    "max-steps": number(2, 64, "steps of each of its runs"),
    "eval-steps": number(1, 8, "steps between two evaluations"),
    "max-seq-length": number(2, 128, "longest text of the sweep"),
    "learning-rate": { default: "3e-4", help: "of the sweep" },
    "four-bit": { kind: "flag", help: "sweep on the base in 4 bits, without the peer" },
    "peer-python": peerPython("torch, transformers and peft"),
    "no-peer": { kind: "flag", help: "lowrank alone" },
    picture: { value: "FILE", help: "the curves by rank as SVG, such as docs/ranks.svg" },
    json: { value: "FILE", help: "every number of every run" },
  },
});
const hasPeer = !o["no-peer"] && existsSync(o["peer-python"]);
const list = (text) => text.split(",").map(Number);
const threads = availableParallelism();
const ratio = (a, b) => `${(a / b).toFixed(2)}x`;

/** Every case of lowrank and of the peer in turn, in both directions. @returns medians of each case */
function timeSteps(cases) {
  const folder = randomModel(o.shape, o.precision, 0);
  const { precision, batch, seq, steps } = o;
  const usual = { folder, precision, batch, seq, steps, warmup: 1, threads };
  const runs = cases.flatMap((each) =>
    (hasPeer ? ["lowrank", "peft"] : ["lowrank"]).map((by) => ({ by, each, found: [] })),
  );
  for (let round = 0; round < o.rounds; round++) {
    for (const { by, each, found } of round % 2 ? [...runs].reverse() : runs) {
      const options = JSON.stringify({ ...usual, ...each });
      found.push(
        by === "peft"
          ? lastJson(o["peer-python"], [PEER_STEPS, options])
          : lastJson(process.execPath, [CHILD, options]),
      );
      const { tokens_per_s } = found.at(-1);
      console.error(`round ${round + 1}: ${by} ${JSON.stringify(each)} ${tokens_per_s.toFixed(0)} tokens/s`);
    }
  }
  const names = ["tokens_per_s", "peak_rss_mib", "first_step_s", "adapter_bytes"];
  const medians = (found) => Object.fromEntries(names.map((name) => [name, median(found.map((run) => run[name]))]));
  return runs.map(({ by, each, found }) => ({ by, ...each, ...medians(found), runs: found }));
}

function stepsTable(label, rows) {
  const own = rows.filter(({ by }) => by === "lowrank");
  const head = [label, "tokens/s", "of the first", "peak MiB", "first step, s", "adapter MiB"];
  if (hasPeer) head.push("PEFT: tokens/s", "peak MiB", "first step, s", "speed", "memory");
  const body = own.map((row) => {
    const cells = [
      row[label],
      row.tokens_per_s.toFixed(0),
      ratio(row.tokens_per_s, own[0].tokens_per_s),
      row.peak_rss_mib,
      row.first_step_s.toFixed(2),
      (row.adapter_bytes / 2 ** 20).toFixed(2),
    ];
    const peer = rows.find((other) => other.by === "peft" && other[label] === row[label]);
    if (!peer) return cells;
    return [
      ...cells,
      ...[peer.tokens_per_s.toFixed(0), peer.peak_rss_mib, peer.first_step_s.toFixed(2)],
      ...[ratio(row.tokens_per_s, peer.tokens_per_s), ratio(row.peak_rss_mib, peer.peak_rss_mib)],
    ];
  });
  return [head, head.map(() => "---"), ...body].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** A process to its end: seconds, and the peak of its resident memory as the kernel has it. */
function timed(command, args) {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
    let errors = "";
    let peak = 0;
    child.stderr.on("data", (data) => {
      errors += data;
    });
    const look = setInterval(() => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
        peak = Math.max(peak, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
      } catch {
        // It has ended.
      }
    }, 50);
    child.on("error", reject);
    child.on("close", (code) => {
      clearInterval(look);
      if (code !== 0) return reject(new Error(`${command} ${args.join(" ")} ended with ${code}:\n${errors}`));
      resolve({ seconds: (performance.now() - begin) / 1000, peak_rss_mib: peak });
    });
  });
}

const sum = (numbers) => numbers.reduce((all, one) => all + one, 0);

/** Single runs, the sweep, the sweep with successive halving, and PEFT's runs: one round, in this order or backwards. */
async function sweepRound(round) {
  const work = mkdtempSync(join(tmpdir(), "lowrank-bench-ranks-"));
  const flags = (options) => Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const same = {
    base_model: o.base,
    train_file: o["train-file"],
    max_seq_length: o["max-seq-length"],
    per_device_train_batch_size: 4,
    max_steps: o["max-steps"],
    learning_rate: o["learning-rate"],
  };
  const own = {
    ...same,
    validation_file: o["validation-file"],
    eval_steps: o["eval-steps"],
    lora_dropout: 0,
    save_steps: 1_000_000,
    precision: o.precision,
    // Each run tokenises for itself the first time, as a user's first run does.
    ...(o["four-bit"] ? { use_4bit: true } : {}),
  };
  const ranks = list(o["sweep-ranks"]);
  const lowrank = (name, options) => timed(process.execPath, [CLI, ...name, ...flags({ ...own, ...options })]);
  const parts = {
    single: async () => {
      const runs = [];
      for (const rank of ranks) {
        const options = {
          lora_r: rank,
          num_samples: 0,
          output_dir: join(work, `single-${rank}`),
          cache_dir: join(work, `cache-${rank}`),
        };
        runs.push(await lowrank(["train"], { ...options, merge: false }));
      }
      return {
        seconds: sum(runs.map(({ seconds }) => seconds)),
        peak_rss_mib: Math.max(...runs.map((run) => run.peak_rss_mib)),
      };
    },
    sweep: () => lowrank(["sweep"], { ranks, output_dir: join(work, "sweep"), cache_dir: join(work, "cache-sweep") }),
    halving: () =>
      lowrank(["sweep", "--stopping_rule", "successive_halving"], {
        ranks,
        output_dir: join(work, "halving"),
        cache_dir: join(work, "cache-halving"),
      }),
    ...(hasPeer &&
      !o["four-bit"] && {
        peft: async () => {
          const runs = [];
          for (const lora_r of ranks) {
            const dtype = o.precision;
            const options = {
              ...same,
              lora_r,
              dtype,
              validation_file: o["validation-file"],
              output_dir: join(work, `peft-${lora_r}`),
            };
            runs.push(await timed(o["peer-python"], [PEER_TRAIN, ...flags(options)]));
          }
          return {
            seconds: sum(runs.map(({ seconds }) => seconds)),
            peak_rss_mib: Math.max(...runs.map((run) => run.peak_rss_mib)),
          };
        },
      }),
  };
  const found = {};
  const order = Object.keys(parts);
  for (const part of round % 2 ? order.reverse() : order) {
    found[part] = await parts[part]();
    console.error(
      `round ${round + 1}: ${part} ${found[part].seconds.toFixed(1)} s, ${found[part].peak_rss_mib.toFixed(0)} MiB`,
    );
  }
  const sweep = JSON.parse(readFileSync(join(work, "sweep/sweep.json"), "utf8"));
  const halving = JSON.parse(readFileSync(join(work, "halving/sweep.json"), "utf8"));
  const weights = (folder) => readFileSync(join(work, folder, "adapter_model.safetensors"));
  const finished = halving.runs.filter(({ status }) => status === "finished").map(({ run }) => run);
  const sameBits =
    ranks.every((rank) => weights(`single-${rank}`).equals(weights(`sweep/r${rank}`))) &&
    finished.every((run) => weights(`halving/${run}`).equals(weights(`sweep/${run}`)));
  const losses = sweep.runs.map(({ run, evaluation }) => [run, evaluation.eval_loss]);
  rmSync(work, { recursive: true });
  return { ...found, best: sweep.best, best_halving: halving.best, same_bits: sameBits, losses };
}

function sweepTable(rounds) {
  const of = (part, name) => median(rounds.map((round) => round[part][name]));
  const rows = ["single", "sweep", "halving", "peft"].filter((part) => rounds[0][part]);
  const titles = {
    single: "single runs, one after the other",
    sweep: "sweep",
    halving: "sweep, successive halving",
    peft: "PEFT's runs",
  };
  const body = rows.map((part) => {
    const seconds = median(rounds.map((round) => round[part].seconds / round.sweep.seconds));
    const memory = median(rounds.map((round) => round[part].peak_rss_mib / round.single.peak_rss_mib));
    return `| ${titles[part]} | ${of(part, "seconds").toFixed(1)} | ${seconds.toFixed(2)}x | ${of(part, "peak_rss_mib").toFixed(0)} | ${memory.toFixed(2)}x |`;
  });
  const [{ losses }] = rounds;
  const facts = [
    `Best: ${rounds.map(({ best }) => best).join(", ")}; with halving: ${rounds.map(({ best_halving }) => best_halving).join(", ")}.`,
    `Adapters bit for bit those of single runs: ${rounds.every(({ same_bits }) => same_bits) ? "yes" : "NO"}.`,
    `Evaluation losses: ${losses.map(([run, loss]) => `${run} ${loss.toFixed(4)}`).join(", ")}.`,
  ];
  const head = "|  | seconds | of the sweep's | peak MiB | of the largest single run's |\n|---|---|---|---|---|";
  return `${head}\n${body.join("\n")}\n\n${facts.join(" ")}`;
}

const TARGETS = ["q_proj,v_proj", "q_proj,k_proj,v_proj,o_proj", "gate_proj,up_proj,down_proj", "all-linear"];
const usual = { rank: 16, targets: TARGETS[1], variant: "lora" };
const cpu = `${cpus()[0]?.model.trim()}, ${threads} processors`;
console.log(`${o.shape}, ${o.precision}, ${o.batch} x ${o.seq} tokens; ${cpu}; medians of ${o.rounds}\n`);
const ranks = timeSteps(list(o.ranks).map((rank) => ({ ...usual, rank })));
console.log(`${stepsTable("rank", ranks)}\n`);
const targets = o.targets ? timeSteps(TARGETS.map((each) => ({ ...usual, targets: each }))) : [];
if (o.targets) console.log(`${stepsTable("targets", targets)}\n`);
const variants = o.variants
  ? timeSteps(["lora", "rslora", "dora", "bias"].map((variant) => ({ ...usual, variant })))
  : [];
if (o.variants) console.log(`${stepsTable("variant", variants)}\n`);
const sweeps = [];
if (o.base) {
  for (let round = 0; round < o.rounds; round++) sweeps.push(await sweepRound(round));
  console.log(`${sweepTable(sweeps)}\n`);
}
if (!hasPeer) console.log("Without the peer: no Python named by --peer-python or LOWRANK_PEER_PYTHON, or --no-peer.");
if (o.json)
  writeFileSync(o.json, `${JSON.stringify({ options: o, cpu, ranks, targets, variants, sweeps }, null, 1)}\n`);
if (o.picture) {
  const series = (name, factor = 1) =>
    Object.fromEntries(
      (hasPeer ? ["lowrank", "peft"] : ["lowrank"]).map((by) => [
        by,
        ranks.filter((row) => row.by === by).map((row) => [row.rank, row[name] * factor]),
      ]),
    );
  writeFileSync(
    o.picture,
    lines([
      { title: "tokens/s by rank", x: "rank", series: series("tokens_per_s") },
      { title: "peak resident MiB by rank", x: "rank", series: series("peak_rss_mib") },
      { title: "first step, seconds, by rank", x: "rank", series: series("first_step_s") },
    ]),
  );
}
