import { combine } from "../analysis/index.js";
import { LowrankError } from "../base/errors.js";
import { namedBase, readFactors, writeFactors } from "../checkpoint/index.js";
import type { CommandOptions } from "../config/index.js";
import { generator } from "../data/index.js";
import { checkOutput } from "../setup/run/output.js";
import { adapterShown } from "./downloading.js";
import { warn } from "./warn.js";

/** Purpose of the generator's numbers. */
const DARE = 0x44415245;

/** `lowrank combine`: several adapters as one. */
export async function run(o: CommandOptions<"combine">): Promise<void> {
  const { adapters, weights = adapters.map(() => 1 / adapters.length) } = o;
  if (weights.length !== adapters.length) {
    const message = `weights: expected a number for each of the ${adapters.length} adapters, found ${weights.length}.`;
    throw new LowrankError("E_USAGE", message, "weights");
  }
  if (o.svd_rank !== undefined && o.combination_type !== "svd")
    throw new LowrankError("E_USAGE", `svd_rank needs combination_type svd, found ${o.combination_type}.`, "svd_rank");
  const allowed = o.overwrite_output_dir ? "results" : "nothing";
  checkOutput(o.output_dir, allowed, adapters);
  const folders: string[] = [];
  for (const adapter of adapters) folders.push(await adapterShown(adapter));
  checkOutput(o.output_dir, allowed, folders);
  const bases = folders.map((folder) => namedBase(folder).named);
  const other = bases.find((base) => base !== bases[0]);
  if (other !== undefined) warn(`the adapters name different bases: ${bases[0]} and ${other}`);
  const factors = combine(
    folders.map((each) => readFactors(each)),
    {
      ...{ combination: o.combination_type, weights, rank: o.svd_rank, density: o.density },
      ...{ majority: o.majority_sign_method, random: generator(o.seed, DARE, 0) },
    },
  );
  await writeFactors(o.output_dir, factors, folders);
  const rank = Math.max(...factors.map((each) => each.rank));
  process.stdout.write(`${o.output_dir}: ${adapters.length} adapters as one of rank ${rank} (${o.combination_type})\n`);
}
