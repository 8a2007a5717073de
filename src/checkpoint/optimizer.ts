// optimizer.safetensors: AdamW's moments of every adapter tensor, f32, and the number of steps made.
import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import type { AdapterTensors, OptimizerState } from "../engine.js";
import { LowrankError } from "../errors.js";
import { readSafetensorsHeader, writeSafetensors } from "../model/index.js";
import { readError } from "../system-errors.js";

const NAME = "optimizer.safetensors";
/** The moments' names, as PyTorch's AdamW has them, before the adapter tensor's. */
const MOMENTS = { m: "exp_avg.", v: "exp_avg_sq." } as const;

/** @throws LowrankError E_WRITE */
export async function writeOptimizerState(folder: string, state: OptimizerState): Promise<void> {
  const entries = (["m", "v"] as const).flatMap((moment) =>
    [...state[moment]].map(([name, { shape, data }]) => ({
      name: MOMENTS[moment] + name,
      dtype: "F32",
      shape,
      bytes: data.byteLength,
      data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    })),
  );
  await writeSafetensors(join(folder, NAME), entries, { format: "pt", step: String(state.step) });
}

/** Whether it fits the adapter is for the engine to say. @throws LowrankError E_FILE_MISSING, E_FILE, E_CHECKPOINT */
export function readOptimizerState(folder: string): OptimizerState {
  const file = join(folder, NAME);
  const fail = (message: string) => new LowrankError("E_CHECKPOINT", `${file}: ${message}.`, file);
  const { tensors, metadata } = readSafetensorsHeader(file);
  const step = Number(metadata.step);
  if (!metadata.step || !Number.isSafeInteger(step)) throw fail(`step is ${metadata.step}, expected a whole number`);
  const state = { step, m: new Map() as AdapterTensors, v: new Map() as AdapterTensors };
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, "r");
    for (const { name, dtype, shape, begin, end } of tensors) {
      const moment = (["m", "v"] as const).find((each) => name.startsWith(MOMENTS[each]));
      const [rows, columns, ...more] = shape;
      if (!moment || dtype !== "F32" || rows === undefined || columns === undefined || more.length > 0) {
        throw fail(`tensor ${name} is ${dtype} [${shape.join(", ")}], expected a moment of an adapter tensor in F32`);
      }
      const bytes = new Uint8Array(end - begin);
      readSync(descriptor, bytes, 0, bytes.length, begin);
      state[moment].set(name.slice(MOMENTS[moment].length), {
        shape: [rows, columns],
        data: new Float32Array(bytes.buffer),
      });
    }
  } catch (error) {
    throw error instanceof LowrankError ? error : readError(error, file, "Optimizer state");
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
  return state;
}
