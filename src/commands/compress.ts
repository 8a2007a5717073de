import { compress, padded, type Target } from "../analysis/index.js";
import { LowrankError } from "../base/errors.js";
import { bytes } from "../base/text.js";
import { type Factors, readFactors, writeFactors } from "../checkpoint/index.js";
import type { CommandOptions } from "../config/index.js";
import { checkOutput } from "../setup/run/output.js";
import { adapterShown } from "./downloading.js";
import { onTexts } from "./evaluation.js";

/** `lowrank compress`: an adapter of smaller rank. */
export async function run(o: CommandOptions<"compress">, inFile: ReadonlySet<string>): Promise<void> {
  const target = targetOf(o);
  const allowed = o.overwrite_output_dir ? "results" : "nothing";
  checkOutput(o.output_dir, allowed, [o.adapter]);
  const adapter = await adapterShown(o.adapter);
  checkOutput(o.output_dir, allowed, [adapter]);
  const factors = readFactors(adapter);
  const { factors: smaller, energy } = compress(factors, target);
  const losses = await lossesOf(o, inFile, adapter, factors, smaller);
  await writeFactors(o.output_dir, smaller, [adapter]);
  const shares = energy === 1 ? "all" : `${Number((100 * energy).toPrecision(4))} %`;
  const ranks = smaller.map(({ rank }) => rank);
  const range = Math.min(...ranks) === Math.max(...ranks) ? ranks[0] : `${Math.min(...ranks)} to ${Math.max(...ranks)}`;
  process.stdout.write(
    `${o.output_dir}: rank ${range}, ${bytes(sizeOf(smaller))} of ${bytes(sizeOf(factors))}, ${shares} of the updates' energy${losses}\n`,
  );
}

/** The loss before and after, in words; nothing where no texts are given. */
async function lossesOf(
  o: CommandOptions<"compress">,
  inFile: ReadonlySet<string>,
  adapter: string,
  factors: readonly Factors[],
  smaller: readonly Factors[],
): Promise<string> {
  if (o.validation_file === undefined && o.dataset_name === undefined) return "";
  return onTexts({ ...o, adapter }, inFile, async ({ engine, evaluate }) => {
    const before = (await evaluate()).eval_loss;
    await engine.setAdapter(padded(smaller, factors));
    const after = (await evaluate()).eval_loss;
    const change = Number((100 * (after / before - 1)).toPrecision(2));
    return `, eval_loss ${after.toFixed(4)} in place of ${before.toFixed(4)} (${change > 0 ? "+" : ""}${change} %)`;
  });
}

const sizeOf = (factors: readonly Factors[]) => factors.reduce((sum, { a, b }) => sum + a.byteLength + b.byteLength, 0);

function targetOf({ max_rank, energy, max_size }: CommandOptions<"compress">): Target {
  const given: Target[] = [];
  if (max_rank !== undefined) given.push({ rank: max_rank });
  if (energy !== undefined) given.push({ energy });
  if (max_size !== undefined) given.push({ bytes: max_size });
  if (given.length === 1) return given[0]!;
  const message = `Expected one of --max_rank, --energy and --max_size, found ${given.length === 0 ? "none" : "several"}.`;
  throw new LowrankError("E_USAGE", message, "max_rank");
}
