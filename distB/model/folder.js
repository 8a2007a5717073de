// A Hugging Face model folder: config.json and safetensors, in one file or in shards with an index.
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { readError } from "../base/system-errors.js";
import { listLinears, } from "../native/index.js";
import { QuantizedTensors } from "./bitsandbytes.js";
import { HEAD, readConfig } from "./config.js";
import { findGgufBase, openGguf } from "./gguf/index.js";
import { resolveHead } from "./head.js";
import { hubNameError } from "./hub.js";
import { absentShards, findWeightFiles, readTensors, whyMissing } from "./shards.js";
const DTYPES = { F32: "f32", BF16: "bf16", F16: "f16" };
/** Formats that are not quantised. */
export const PLAIN = ["f32", "bf16", "f16"];
/** The engine's dtype for a safetensors one, undefined where the engine cannot read it. */
export function weightDtype(dtype) {
    return Object.hasOwn(DTYPES, dtype) ? DTYPES[dtype] : undefined;
}
/** What a model without a head calls its tensors: those of a whole model without this prefix. */
const PREFIX = "model.";
/** Names of tensors outside of the layers. */
const OUTSIDE = /^(model\.(embed_tokens|norm)|lm_head)\./;
const BARE = /^(embed_tokens|layers|norm)\./;
/** The tensors under a whole model's names; of two that are meant by one name, the one that has it counts. */
function withPrefix(tensors) {
    if (!tensors.some(({ name }) => BARE.test(name)))
        return tensors;
    const known = new Set(tensors.map(({ name }) => name));
    return tensors.flatMap((tensor) => {
        if (!BARE.test(tensor.name))
            return [tensor];
        const name = PREFIX + tensor.name;
        return known.has(name) ? [] : [{ ...tensor, name }];
    });
}
/** Whether a tensor may be one of the model's: files may hold any number of others. */
function mayBeUsed(name, { layers }) {
    const layer = /^model\.layers\.(\d+)\./.exec(name)?.[1];
    return layer === undefined ? OUTSIDE.test(name) : Number(layer) < layers;
}
/**
 * Reads a model folder or GGUF file; the weights themselves stay on the disk.
 * @throws LowrankError whose message names the file, key or tensor that is wrong
 */
export function openModel(folder, warn = () => { }) {
    const gguf = findGgufBase(folder);
    if (gguf !== undefined)
        return openChecked(openGguf(gguf));
    checkFolder(folder);
    const configFile = join(folder, "config.json");
    const config = readConfig(configFile, warn);
    const tensors = [];
    const unreadable = new Map();
    const files = findWeightFiles(folder);
    const stored = withPrefix(readTensors(folder, files));
    const found = stored.filter(({ name }) => mayBeUsed(name, config));
    const quantized = new QuantizedTensors(found);
    for (const tensor of found) {
        const { name, shape, file, begin, end } = tensor;
        const dtype = weightDtype(tensor.dtype);
        try {
            const plain = dtype && { name, dtype, shape, file, offset: begin, bytes: end - begin };
            const entry = quantized.entry(tensor) ?? plain;
            if (entry)
                tensors.push(entry);
            else
                unreadable.set(name, unreadableDtype(tensor));
        }
        catch (error) {
            unreadable.set(name, error);
        }
    }
    const model = resolveHead({ folder, config, tensors }, configFile, warn);
    checkTensors(model, (error, name) => {
        const other = unreadable.get(name) ?? whyMissing(folder, files, [name, name.replace(PREFIX, "")]);
        return other ?? new LowrankError(error.code, error.message + hintOfNames(stored, name), name);
    });
    const absent = absentShards(files);
    if (absent.length > 0) {
        warn(`${join(folder, files.index)} names shards that are not there, though the model does not need them: ${absent.join(", ")}`);
    }
    return model;
}
/** What may be wrong where no tensor has a name, by the names of the others; "" where they say nothing. */
function hintOfNames(found, name) {
    const module = name.replace(/\.\w+$/, "");
    const other = found.find((each) => each.name.endsWith(`.${name}`) || each.name.startsWith(`${module}.base_layer.`));
    if (other) {
        return ` The files have ${other.name}: the model was saved within a wrapper (torch.compile, DDP, PEFT). Save the model itself.`;
    }
    if (name !== HEAD)
        return "";
    return " Or it was saved without a head; where the head is the embedding, set tie_word_embeddings to true.";
}
function checkFolder(folder) {
    let isFolder;
    try {
        isFolder = statSync(folder).isDirectory();
    }
    catch (error) {
        throw hubNameError(folder, "Model folder") ?? readError(error, folder, "Model folder");
    }
    if (isFolder && (existsSync(join(folder, "config.json")) || !existsSync(join(folder, "adapter_config.json"))))
        return;
    if (isFolder) {
        const message = `${folder} holds an adapter, not a model: name it with --adapter, and its base with --base_model.`;
        throw new LowrankError("E_FILE", message, folder);
    }
    const expected = "expected a model folder with config.json and model.safetensors, or a .gguf file";
    throw new LowrankError("E_FILE", `${folder} is a file, ${expected}.`, folder);
}
function openChecked(model) {
    checkTensors(model, (error) => error);
    return model;
}
function unreadableDtype({ file, name, dtype }) {
    return new LowrankError("E_TENSOR_DTYPE", `${file}: tensor ${name} is stored as ${dtype}, expected ${Object.keys(DTYPES).join(", ")}. ` +
        "Use the folder with the unquantised weights, or one that bitsandbytes quantised.", name);
}
/**
 * The native list of needed tensors decides; what is wrong with a tensor does not matter as long as the model does not use
 * it.
 * @param explain the error of a missing tensor in full
 */
function checkTensors(model, explain) {
    try {
        listLinears(model);
    }
    catch (error) {
        if (!(error instanceof LowrankError) || error.code !== "E_TENSOR_MISSING" || error.where === undefined)
            throw error;
        throw explain(error, error.where);
    }
}
/** The dtype that most of the model's elements have once it is loaded. */
export function modelDtype(model) {
    const elements = new Map();
    for (const { dtype, shape, quantize } of model.tensors) {
        const loaded = quantize?.format ?? dtype;
        elements.set(loaded, (elements.get(loaded) ?? 0) + shape.reduce((product, n) => product * n, 1));
    }
    return [...elements].reduce((most, entry) => (entry[1] > most[1] ? entry : most))[0];
}
