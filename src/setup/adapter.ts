import { LowrankError } from "../base/errors.js";
import { usableCores } from "../base/processors.js";
import { processorShare, worldOf } from "../base/ranks.js";
import { readAdapter } from "../checkpoint/index.js";
import type { Tokenizer } from "../data/index.js";
import {
  modelDtype,
  PLAIN,
  type ResolvedTargets,
  resolveTargets,
  targetSpec,
  tokenIndices,
  tokenRows,
  wholeModules,
} from "../model/index.js";
import {
  type AdapterSpec,
  type AdapterTensors,
  CPU,
  devices,
  type ModelSource,
  type Precision,
} from "../native/index.js";

/**
 * As many threads as were asked for, at most one for each processor: more would only wait for each other. Without a number, one for
 * each core. @param warn told that fewer are used than were asked for
 */
export function threadCount(threads: number | undefined, warn?: (message: string) => void): number {
  if (threads === undefined) return processorShare(process.env, usableCores());
  const processors = processorShare();
  if (threads <= processors) return threads;
  warn?.(
    `--threads ${threads} is more than the ${processors} processors that this process may use: ${processors} are used`,
  );
  return processors;
}

/**
 * The device that `--device` names: `auto` is the first that there is, else the processor. Whether a named one is there, its engine tells. The
 * ranks of one machine have the devices in turn, where no number is named.
 */
export function chooseDevice(wanted: string, { localRank } = worldOf() ?? { localRank: 0 }): string {
  if (wanted === CPU || wanted.includes(":")) return wanted;
  const isFirst = localRank === 0 && wanted !== "auto";
  const { found } = isFirst ? { found: [] } : devices();
  return found[localRank % found.length]?.name ?? (wanted === "auto" ? CPU : `${wanted}:0`);
}

/** `auto` is bf16 where the base has 16 bits or fewer: more precise activations would not make its weights better. */
export function choosePrecision(wanted: Precision | "auto", model: ModelSource): Precision {
  if (wanted !== "auto") return wanted;
  const isQuantized = model.tensors.some(({ dtype, quantize }) => quantize !== undefined || !PLAIN.includes(dtype));
  return modelDtype(model) === "f32" && !isQuantized ? "fp32" : "bf16";
}

/** The tokens that end a generated text: the end tokens of the model's configuration, and the tokenizer's end of text. */
export function stopIds(fromModel: number[], tokenizer: Tokenizer): ReadonlySet<number> {
  const own = tokenizer.eosTokenId;
  return new Set(own === undefined ? fromModel : [...fromModel, own]);
}

/** The adapter that a run begins with. */
export interface InitialAdapter {
  spec: AdapterSpec;
  targets: ResolvedTargets;
  /** The tensors of `--init_adapter`; null where the engine makes them. */
  tensors: AdapterTensors | null;
}

export interface LoraOptions {
  lora_r: number;
  lora_alpha: number;
  lora_dropout: number;
  use_rslora: boolean;
  use_dora: boolean;
  lora_bias: boolean;
  use_lora_fa: boolean;
  init_lora_weights: string | undefined;
  neftune_noise_alpha: number | undefined;
  base_dropout: boolean;
  modules_to_save: string[] | undefined;
  trainable_token_indices: number[] | Record<string, number[]> | undefined;
  target_modules: string | undefined;
  exclude_modules: string | undefined;
  layers_to_transform: number[] | undefined;
  layers_pattern: string[] | undefined;
  rank_pattern: Record<string, number> | undefined;
  alpha_pattern: Record<string, number> | undefined;
  init_adapter: string | undefined;
  seed: number;
}

function targetsOf(o: LoraOptions, model: ModelSource): ResolvedTargets {
  const { exclude_modules, layers_to_transform, layers_pattern, rank_pattern, alpha_pattern } = o;
  const rules = { exclude_modules, layers_to_transform, layers_pattern, rank_pattern, alpha_pattern };
  return resolveTargets(model, o.target_modules ?? null, rules);
}

/** Options that decide modules, and options that decide ranks and alphas of single modules. */
const DECIDE_MODULES = ["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"] as const;
const DECIDE_SINGLE = { rank_pattern: "ranks", alpha_pattern: "alphas" } as const;

const shownRows = (tokens: AdapterSpec["tokens"]) => (tokens?.length ? JSON.stringify(tokenIndices(tokens)) : "");

/** Names with their numbers, in one order. */
const inOrder = (numbers: Record<string, number> = {}) => JSON.stringify(Object.entries(numbers).sort());

/**
 * PiSSA and OLoRA as plain LoRA of twice the rank and the same scale, as PEFT converts them: any reader of LoRA adapters loads the file, and no
 * singular values are computed again.
 */
function withFrozenHalf(spec: AdapterSpec, targets: ResolvedTargets, initialFactors: string): InitialAdapter {
  const alphas = spec.useRslora ? Math.SQRT2 : 2;
  const times = <T extends Record<string, number> | undefined>(numbers: T, factor: number) =>
    numbers && Object.fromEntries(Object.entries(numbers).map(([name, n]) => [name, n * factor]));
  const { rank_pattern, alpha_pattern, ...rules } = targets.rules ?? {};
  return {
    spec: {
      ...spec,
      rank: 2 * spec.rank,
      alpha: alphas * spec.alpha,
      ranks: times(spec.ranks, 2),
      alphas: times(spec.alphas, alphas),
      freezesHalf: true,
      initialFactors,
    },
    targets: {
      ...targets,
      rules: {
        ...rules,
        ...(rank_pattern && { rank_pattern: times(rank_pattern, 2) }),
        ...(alpha_pattern && { alpha_pattern: times(alpha_pattern, alphas) }),
      },
    },
    tensors: null,
  };
}

/** The same adapter for an engine that is given its tensors, or whose numbers do not matter: no factors are made of the base. */
export const withoutFactors = (spec: AdapterSpec): AdapterSpec => ({ ...spec, initialFactors: undefined });

/** @param given options that the user named. An option that contradicts the initial adapter is an error */
export function initialAdapter(o: LoraOptions, given: ReadonlySet<string>, model: ModelSource): InitialAdapter {
  const { lora_dropout: dropout, neftune_noise_alpha: neftuneNoiseAlpha, base_dropout: baseDropout, seed } = o;
  const own = { dropout, neftuneNoiseAlpha, baseDropout, freezeA: o.use_lora_fa, seed };
  if (o.init_adapter === undefined) {
    const targets = targetsOf(o, model);
    const { lora_r: rank, lora_alpha: alpha, use_rslora: useRslora, use_dora: useDora, lora_bias: bias } = o;
    const whole = wholeModules(model, o.modules_to_save ?? [], "modules_to_save");
    const tokens = tokenRows(model, o.trainable_token_indices, whole, "trainable_token_indices");
    const spec = { rank, alpha, useRslora, useDora, bias, ...targetSpec(targets), whole, tokens, ...own };
    const { init_lora_weights: initialFactors } = o;
    return initialFactors === undefined
      ? { spec, targets, tensors: null }
      : withFrozenHalf(spec, targets, initialFactors);
  }
  const { spec, tensors, targets } = readAdapter(o.init_adapter, model);
  const wrong: string[] = [];
  if (o.init_lora_weights !== undefined) wrong.push("--init_lora_weights makes another beginning");
  const compare = (name: keyof LoraOptions, wanted: unknown, found: unknown) => {
    if (given.has(name) && wanted !== found)
      wrong.push(`--${name} is ${wanted}, but the adapter has ${found || "none"}`);
  };
  compare("lora_r", o.lora_r, spec.rank);
  compare("lora_alpha", o.lora_alpha, spec.alpha);
  compare("use_rslora", o.use_rslora, spec.useRslora);
  compare("use_dora", o.use_dora, spec.useDora);
  compare("lora_bias", o.lora_bias, spec.bias);
  if (given.has("modules_to_save")) {
    const wanted = wholeModules(model, o.modules_to_save ?? [], "modules_to_save");
    compare("modules_to_save", wanted.join(), (spec.whole ?? []).join());
  }
  if (given.has("trainable_token_indices")) {
    const wanted = tokenRows(model, o.trainable_token_indices, spec.whole ?? [], "trainable_token_indices");
    compare("trainable_token_indices", shownRows(wanted), shownRows(spec.tokens));
  }
  const decides = DECIDE_MODULES.filter((name) => given.has(name));
  const single = (["rank_pattern", "alpha_pattern"] as const).filter((name) => given.has(name));
  if (decides.length + single.length > 0) {
    const wanted = targetsOf(decides.length > 0 ? o : { ...o, target_modules: spec.targets.join() }, model);
    if ([...wanted.modules].sort().join() !== [...spec.targets].sort().join()) {
      const shown = decides.map((name) => `--${name} ${o[name]}`).join(", ");
      wrong.push(`the modules of ${shown} are not the modules that the adapter has`);
    }
    for (const name of single) {
      const key = DECIDE_SINGLE[name];
      if (inOrder(wanted[key]) !== inOrder(spec[key])) wrong.push(`--${name} differs from the adapter's`);
    }
  }
  if (wrong.length > 0) {
    const message = `--init_adapter ${o.init_adapter} decides r, alpha and modules: ${wrong.join("; ")}. Leave the option out.`;
    throw new LowrankError("E_USAGE", message, o.init_adapter);
  }
  return { spec: { ...spec, ...own }, targets, tensors };
}
