import { existsSync } from "node:fs";
import { join } from "node:path";
import { readJsonObject } from "../base/json.js";
import { findGguf, openGguf } from "./gguf/index.js";
/** How many tokens a model has embeddings for, without opening its weights; undefined where a folder does not say. */
export function modelVocabSize(path) {
    const config = join(path, "config.json");
    if (existsSync(config)) {
        const { vocab_size: size } = readJsonObject(config, "Model configuration");
        return Number.isInteger(size) ? size : undefined;
    }
    const gguf = findGguf(path);
    return gguf === undefined ? undefined : openGguf(gguf).config.vocabSize;
}
