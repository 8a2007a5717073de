import type { Tokenizer } from "../data/index.js";
import { type ResolvedTargets } from "../model/index.js";
import { type AdapterSpec, type AdapterTensors, type ModelSource } from "../native/index.js";
import { type AdapterConfig } from "./adapter-config.js";
import { type CardRun } from "./model-card.js";
/** What PEFT puts before a module's name in the file; the engine's names do not have it. */
export declare const PREFIX = "base_model.model.";
export interface LoadedAdapter {
    spec: AdapterSpec;
    /** Under the engine's names, widened to f32. */
    tensors: AdapterTensors;
    /** adapter_config.json as it stands. */
    config: Record<string, unknown>;
    targets: ResolvedTargets;
}
/**
 * Reads an adapter for this model.
 * @throws LowrankError where it is not plain LoRA, belongs to another model or is damaged
 */
export declare function readAdapter(folder: string, model: ModelSource): LoadedAdapter;
/** Shape of every tensor of the adapter under the engine's names: A (R, I), B (O, R). */
export declare function adapterShapes(model: ModelSource, { rank, targets }: AdapterSpec): Map<string, [number, number]>;
export interface AdapterToWrite {
    tensors: AdapterTensors;
    spec: AdapterSpec;
    targets: ResolvedTargets;
    /** Folder or file of the base. */
    baseModel: string;
    /** For the model card: how it was trained. */
    run?: CardRun;
    /** Whose files to write beside it. */
    tokenizer?: Tokenizer;
}
/**
 * Writes an adapter that PEFT loads unchanged; the folder is made where there is none. An adapter that stood there
 * before stays whole until the new one is.
 * @throws LowrankError E_WRITE
 */
export declare function writeAdapter(folder: string, adapter: AdapterToWrite): Promise<void>;
/** Only the weights and adapter_config.json, for a disk that has no room for more; otherwise like `writeAdapter`. @throws LowrankError E_WRITE */
export declare function writeBareAdapter(folder: string, adapter: AdapterToWrite): Promise<void>;
/** The adapter's files, into a folder that is being made. @throws LowrankError E_WRITE */
export declare function writeAdapterFiles(folder: string, adapter: AdapterToWrite): Promise<void>;
/** What adapter_config.json says about an adapter, and its file. */
export interface AdapterAbout extends AdapterConfig {
    base: string;
    tensors: number;
    parameters: number;
    /** As the file spells them. */
    dtypes: string[];
}
/** An adapter without its base. @throws LowrankError where it is not plain LoRA or damaged */
export declare function aboutAdapter(folder: string): AdapterAbout;
/** Whether a folder holds an adapter, and no model. */
export declare function isAdapterFolder(folder: string): boolean;
/**
 * The folder or file of the base that an adapter names; a relative path is one from here, else one from the adapter.
 * @throws LowrankError E_FILE_MISSING where it is not here
 */
export declare function baseOfAdapter(folder: string): string;
