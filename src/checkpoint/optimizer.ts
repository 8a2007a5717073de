// optimizer.safetensors: AdamW's moments of every adapter tensor, and the number of steps made. With 8-bit AdamW the moments
// of large tensors are codes (U8) with the maxima of their blocks (F32).
import { closeSync, readSync } from "node:fs";
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { openRegular, readError } from "../base/system-errors.js";
import { readSafetensorsHeader, writeSafetensors } from "../model/index.js";
import type { AdapterTensors, Moments, OptimizerState } from "../native/index.js";

const NAME = "optimizer.safetensors";
/** The moments' names, as PyTorch's AdamW has them, before the adapter tensor's. */
const MOMENTS = { m: "exp_avg.", v: "exp_avg_sq.", mMax: "exp_avg_absmax.", vMax: "exp_avg_sq_absmax." } as const;
type Part = keyof typeof MOMENTS;

const bytesOf = (data: Float32Array | Uint8Array) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Name, shape and content of everything that is saved. */
function tensorsOf(state: OptimizerState): [string, number[], Float32Array | Uint8Array][] {
  if ("moments" in state) {
    return [...state.moments].flatMap(([name, parts]) =>
      (Object.entries(parts) as [Part, Float32Array | Uint8Array][]).map(
        ([part, data]): [string, number[], Float32Array | Uint8Array] => [MOMENTS[part] + name, [data.length], data],
      ),
    );
  }
  return (["m", "v"] as const).flatMap((part) =>
    [...state[part]].map(([name, { shape, data }]): [string, number[], Float32Array] => [
      MOMENTS[part] + name,
      shape,
      data,
    ]),
  );
}

/** @throws LowrankError E_WRITE */
export async function writeOptimizerState(folder: string, state: OptimizerState): Promise<void> {
  const entries = tensorsOf(state).map(([name, shape, data]) => ({
    name,
    dtype: data instanceof Uint8Array ? "U8" : "F32",
    shape,
    bytes: data.byteLength,
    data: bytesOf(data),
  }));
  const kind: Record<string, string> = "moments" in state ? { optimizer: "adamw_8bit" } : {};
  await writeSafetensors(join(folder, NAME), entries, { format: "pt", step: String(state.step), ...kind });
}

/** Whether it fits the adapter is for the engine to say. @throws LowrankError E_FILE_MISSING, E_FILE, E_CHECKPOINT */
export function readOptimizerState(folder: string): OptimizerState {
  const file = join(folder, NAME);
  const fail = (message: string) => new LowrankError("E_CHECKPOINT", `${file}: ${message}.`, file);
  const { tensors, metadata } = readSafetensorsHeader(file);
  const step = Number(metadata.step);
  if (!metadata.step || !Number.isSafeInteger(step)) throw fail(`step is ${metadata.step}, expected a whole number`);
  const is8bit = metadata.optimizer === "adamw_8bit";
  const plain = { step, m: new Map() as AdapterTensors, v: new Map() as AdapterTensors };
  const moments = new Map<string, Partial<Record<Part, Float32Array | Uint8Array>>>();
  let descriptor: number | undefined;
  try {
    descriptor = openRegular(file, "Optimizer state");
    for (const { name, dtype, shape, begin, end } of tensors) {
      const part = (Object.keys(MOMENTS) as Part[]).find((each) => name.startsWith(MOMENTS[each]));
      const right = is8bit
        ? shape.length === 1 && (dtype === "F32" || (dtype === "U8" && (part === "m" || part === "v")))
        : (shape.length === 1 || shape.length === 2) && dtype === "F32" && (part === "m" || part === "v");
      if (!part || !right) {
        const expected = is8bit
          ? "a part of an 8-bit AdamW's moments in U8 or F32"
          : "a moment of an adapter tensor in F32";
        throw fail(`tensor ${name} is ${dtype} [${shape.join(", ")}], expected ${expected}`);
      }
      const bytes = new Uint8Array(end - begin);
      readSync(descriptor, bytes, 0, bytes.length, begin);
      const data = dtype === "U8" ? bytes : new Float32Array(bytes.buffer);
      const tensor = name.slice(MOMENTS[part].length);
      if (is8bit) moments.set(tensor, { ...moments.get(tensor), [part]: data });
      else plain[part as "m" | "v"].set(tensor, { shape, data: data as Float32Array });
    }
  } catch (error) {
    throw readError(error, file, "Optimizer state");
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
  return is8bit ? { step, moments: moments as Map<string, Moments> } : plain;
}
