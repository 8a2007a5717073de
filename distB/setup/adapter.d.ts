import type { Tokenizer } from "../data/index.js";
import { type ResolvedTargets } from "../model/index.js";
import type { AdapterSpec, AdapterTensors, ModelSource, Precision } from "../native/index.js";
/** More threads than processors would only wait for each other. @param warn told that fewer are used than were asked for */
export declare function threadCount(threads: number | undefined, warn?: (message: string) => void): number;
/** `auto` is bf16 where the base has 16 bits or fewer: more precise activations would not make its weights better. */
export declare function choosePrecision(wanted: Precision | "auto", model: ModelSource): Precision;
/** Where generated text ends: what the model's configuration names, and the tokenizer's end of text. */
export declare function stopIds(fromModel: number[], tokenizer: Tokenizer): ReadonlySet<number>;
/** The adapter that a run begins with. */
export interface InitialAdapter {
    spec: AdapterSpec;
    targets: ResolvedTargets;
    /** Of `--init_adapter`; otherwise the engine makes them. */
    tensors: AdapterTensors | null;
}
export interface LoraOptions {
    lora_r: number;
    lora_alpha: number;
    lora_dropout: number;
    use_rslora: boolean;
    target_modules: string | undefined;
    init_adapter: string | undefined;
    seed: number;
}
/** @param given options that the user named: where they contradict the initial adapter, that is an error */
export declare function initialAdapter(o: LoraOptions, given: ReadonlySet<string>, model: ModelSource): InitialAdapter;
