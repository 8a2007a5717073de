import { LowrankError } from "../base/errors.js";
import { bytes } from "../base/text.js";
import { isPlain, writeQuantized } from "../checkpoint/index.js";
import type { CommandOptions } from "../config/index.js";
import { Tokenizer } from "../data/index.js";
import { threadCount } from "../setup/adapter.js";
import { openBase } from "../setup/base.js";
import { checkOutput } from "../setup/run/output.js";
import { Log, Progress, showsBar } from "../tracking/index.js";
import { locatedShown } from "./downloading.js";
import { loading } from "./loading.js";

/** `lowrank quantize`. */
export async function run(named: CommandOptions<"quantize">): Promise<void> {
  const inputs = [named.base_model, named.tokenizer_name];
  checkOutput(named.output_dir, named.overwrite_output_dir ? "results" : "nothing", inputs);
  const o = await locatedShown(named);
  const progress = await Progress.open(showsBar());
  const log = new Log({ level: "info", beforeLine: () => progress.clearLine() });
  try {
    const four = { use_4bit: !o.use_8bit || o.use_4bit };
    const model = openBase({ ...o, ...four }, (message) => log.warn(message));
    if (!isPlain(model)) {
      const message = `${named.base_model} is quantised already: name the folder with the f32, bf16 or f16 weights.`;
      throw new LowrankError("E_QUANTIZED", message, o.base_model);
    }
    const tokenizer = await Tokenizer.open(o.tokenizer_name ?? o.base_model, (message) => log.warn(message));
    const show = loading(progress, log);
    await writeQuantized({
      model,
      output: o.output_dir,
      tokenizer,
      threads: threadCount(o.threads, (message) => log.warn(message)),
      overwrite: o.overwrite_output_dir,
      onProgress: (done, total) => show("quantising", done, total),
    });
    progress.stop();
    const before = model.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
    log.info(`saved the quantised model in ${o.output_dir}; the weights of the base have ${bytes(before)}`);
  } finally {
    progress.stop();
    await log.close();
  }
}
