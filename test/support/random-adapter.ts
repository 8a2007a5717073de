import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openModel, writeSafetensors } from "../../src/model/index.js";
import { tinyBase } from "./folders.js";

export const MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/** An adapter of the tiny base with random factors, as PEFT saves it. @param size of the numbers @returns the folder */
export async function randomAdapter(folder: string, config: Record<string, unknown>, size = 0.05): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const whole: Record<string, unknown> = {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    r: 4,
    lora_alpha: 16,
    target_modules: MODULES,
    ...config,
  };
  writeFileSync(join(folder, "adapter_config.json"), JSON.stringify({ base_model_name_or_path: tinyBase, ...whole }));
  const ranks = (config.rank_pattern ?? {}) as Record<string, number>;
  let state = 7;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return size * (state / 2 ** 31 - 1);
  };
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, layers } = openModel(tinyBase).config;
  const widths: Record<string, [number, number]> = {
    q_proj: [heads * headDim, hiddenSize],
    k_proj: [kvHeads * headDim, hiddenSize],
    v_proj: [kvHeads * headDim, hiddenSize],
    o_proj: [hiddenSize, heads * headDim],
    gate_proj: [intermediateSize, hiddenSize],
    up_proj: [intermediateSize, hiddenSize],
    down_proj: [hiddenSize, intermediateSize],
  };
  const entry = (name: string, shape: [number, number]) => {
    const data = new Uint8Array(Float32Array.from({ length: shape[0] * shape[1] }, random).buffer);
    return { name: `base_model.model.${name}`, dtype: "F32" as const, shape, bytes: data.length, data };
  };
  const entries = Array.from({ length: layers }, (_, layer) =>
    MODULES.filter((module) => !Array.isArray(whole.target_modules) || whole.target_modules.includes(module)).flatMap(
      (module) => {
        const [out, inputs] = widths[module]!;
        const name = `model.layers.${layer}.${/gate|up|down/.test(module) ? "mlp" : "self_attn"}.${module}`;
        const r = ranks[module] ?? (whole.r as number);
        return [entry(`${name}.lora_A.weight`, [r, inputs]), entry(`${name}.lora_B.weight`, [out, r])];
      },
    ),
  ).flat();
  await writeSafetensors(join(folder, "adapter_model.safetensors"), entries, { format: "pt" });
  return folder;
}
