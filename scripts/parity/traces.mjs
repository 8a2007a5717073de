// One training run by each of the two trainers from the same initial adapter, step by step side by side.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { flags, jsonLines, lowrank, run } from "./processes.mjs";

/** Largest allowed differences: of the loss absolute, of the gradient norm relative. bf16 norms are shown, not judged. */
const BOUNDS = {
  use_4bit: { loss: 1e-3, norm: Number.POSITIVE_INFINITY },
  use_8bit: { loss: 2e-2, norm: Number.POSITIVE_INFINITY },
  // A rounding error of one layer turns codes of the next: a step of the peer is off by as much from itself with other kernels.
  llm_int8: { loss: 5e-2, mean: 2e-2, norm: Number.POSITIVE_INFINITY },
  fp32: { loss: 1e-4, norm: 1e-3 },
  bf16: { loss: 2e-2, norm: Number.POSITIVE_INFINITY },
};

async function runPeer({ python, peerScript, precision, folder, options, validation, peerBase }) {
  const args = flags({
    ...options,
    base_model: peerBase,
    dtype: precision,
    output_dir: join(folder, "peer"),
    validation_file: validation,
  });
  const lines = jsonLines(await run(python, [...peerScript, ...args]));
  return {
    trace: lines.filter((row) => row.step),
    evalLoss: lines.find((row) => row.eval_loss !== undefined).eval_loss,
  };
}

async function runOurs({ precision, folder, options, own, validation }) {
  const output = join(folder, "ours");
  await lowrank([
    "train",
    ...flags({
      ...options,
      ...own,
      precision,
      output_dir: output,
      validation_file: validation,
      init_adapter: join(folder, "peer", "initial"),
      lora_dropout: 0,
      logging_steps: 1,
      per_device_eval_batch_size: options.per_device_train_batch_size,
      overwrite_output_dir: true,
    }),
    "--no-shuffle",
    "--no-add_eos",
    "--no-merge",
  ]);
  const rows = jsonLines(readFileSync(join(output, "metrics.jsonl"), "utf8"));
  return {
    trace: rows.filter((row) => row.loss !== undefined),
    evalLoss: rows.filter((row) => row.eval_loss !== undefined).at(-1)?.eval_loss,
  };
}

/**
 * Prints two traces side by side.
 * @param relative whether differences of the loss are relative
 * @returns the largest differences: of the loss, of the gradient norm (relative), of the learning rate
 */
export function sideBySide(expected, found, { names = ["peer", "ours"], relative = false } = {}) {
  const worst = { loss: 0, norm: 0, rate: 0 };
  console.log(
    `step   loss ${names[0].padEnd(6)}  ${names[1].padEnd(9)}   difference | norm ${names[0].padEnd(6)}  ${names[1].padEnd(9)}   relative`,
  );
  for (const [i, p] of expected.entries()) {
    const u = found[i] ?? {};
    const loss = Math.abs(u.loss - p.loss) / (relative ? p.loss : 1);
    const norm = Math.abs(u.grad_norm / p.grad_norm - 1);
    const rate = Math.abs(u.learning_rate - p.learning_rate);
    const cells = [p.loss.toFixed(6), u.loss?.toFixed(6), loss.toExponential(1), "|", p.grad_norm.toFixed(6)];
    cells.push(u.grad_norm?.toFixed(6), norm.toExponential(1));
    console.log(`${String(p.step).padStart(4)}   ${cells.map((cell) => String(cell).padEnd(11)).join(" ")}`.trimEnd());
    // Written so that NaN, as of a missing step, counts as the worst.
    if (!(loss <= worst.loss)) worst.loss = loss;
    if (!(norm <= worst.norm)) worst.norm = norm;
    if (!(rate <= worst.rate)) worst.rate = rate;
  }
  return worst;
}

const meanLoss = (trace) => trace.reduce((sum, { loss }) => sum + loss, 0) / trace.length;

/** @returns the bounds that are broken, as sentences */
export async function compareTraces(work) {
  const peer = await runPeer(work);
  const ours = await runOurs(work);
  const bounds = work.bounds ?? BOUNDS[work.own.quant_type ?? work.quantize ?? work.precision];
  console.log(`\n== ${work.name}`);
  const worst = sideBySide(peer.trace, ours.trace);
  const evalLoss = Math.abs(ours.evalLoss - peer.evalLoss);
  console.log(
    `largest: loss ${worst.loss.toExponential(2)}, grad_norm ${(100 * worst.norm).toFixed(4)} %, ` +
      `learning_rate ${worst.rate.toExponential(1)}; eval_loss ${peer.evalLoss.toFixed(6)} and ${ours.evalLoss?.toFixed(6)}`,
  );
  const failures = [];
  const check = (what, value, bound) => {
    if (!(value <= bound)) failures.push(`${work.name}: ${what} differs by ${value}, allowed ${bound}`);
  };
  if (ours.trace.length !== peer.trace.length)
    failures.push(`${work.name}: ${ours.trace.length} steps for the peer's ${peer.trace.length}`);
  check("loss", worst.loss, bounds.loss);
  if (bounds.mean) check("mean loss", Math.abs(meanLoss(ours.trace) - meanLoss(peer.trace)), bounds.mean);
  if (bounds.norm < Number.POSITIVE_INFINITY) check("grad_norm", worst.norm, bounds.norm);
  check("learning_rate", worst.rate, 1e-10);
  check("eval_loss", evalLoss, bounds.loss);
  return failures;
}
