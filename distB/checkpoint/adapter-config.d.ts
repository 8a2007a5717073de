import type { AdapterSpec } from "../native/index.js";
export interface AdapterConfig {
    rank: number;
    alpha: number;
    dropout: number;
    useRslora: boolean;
    targetModules: string | string[];
}
/** The configuration of a trained adapter, in keys that PEFT has had since 0.11. @param base absolute path */
export declare function adapterConfigJson(spec: AdapterSpec, targets: string | string[], base: string): {
    base_model_name_or_path: string;
    bias: string;
    inference_mode: boolean;
    lora_alpha: number;
    lora_dropout: number;
    peft_type: string;
    r: number;
    target_modules: string | string[];
    task_type: string;
    use_rslora: boolean;
};
/** @throws LowrankError E_CONFIG_VALUE, E_ADAPTER_UNSUPPORTED naming the key */
export declare function parseAdapterConfig(json: Record<string, unknown>, file: string): AdapterConfig;
