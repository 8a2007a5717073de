// Tensors of blocks that the model, as its configuration describes it, has no place for.
import type { ModelSource } from "../native/index.js";
import { linearsOf } from "./spec.js";

/**
 * Weights, and biases of linears, in the files' blocks that the description lacks: the folder holds another model than its config.json says.
 * Buffers that older files hold (attn.bias, rotary_emb.inv_freq) are none of them.
 */
export function extraTensors({ spec, tensors }: ModelSource): string[] {
  const { attention, mlp } = spec.block;
  const linears = linearsOf(spec.block);
  const norms = [attention, mlp].flatMap(({ norm, residual }) => [norm, residual?.norm, residual?.after]);
  const described = [...norms, attention.qNorm, attention.kNorm].flatMap((norm) =>
    norm ? [norm.weight, norm.bias] : [],
  );
  const known = new Set([...described, ...linears.map(({ module }) => `${module}.weight`)]);
  const withoutBias = new Set(linears.filter(({ bias }) => !bias).map(({ module }) => `${module}.bias`));
  return tensors.flatMap(({ name }) => {
    if (!name.startsWith(spec.layerPrefix)) return [];
    const within = name.slice(spec.layerPrefix.length).replace(/^\d+\./, "");
    // The number of a head stands for *.
    const isKnown = known.has(within) || known.has(within.replace(/\.\d+\./, ".*."));
    return withoutBias.has(within) || (within.endsWith(".weight") && !isKnown) ? [name] : [];
  });
}
