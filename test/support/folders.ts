import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { LowrankError } from "../../src/base/errors.js";
import { readSafetensorsHeader, type TensorToWrite, writeSafetensors } from "../../src/model/index.js";
import { goldensFolder } from "./golden.js";

/** The base model with a tokenizer that the examples use. */
export const tinyBase = new URL("../../examples/tiny-base", import.meta.url).pathname;

/** A function that makes temporary folders, all removed after the file's tests. */
export function temporaryFolders(): () => string {
  const root = mkdtempSync(join(tmpdir(), "lowrank-test-"));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  return () => mkdtempSync(join(root, "f-"));
}

/** Writes a file and returns its path. */
export function writeIn(folder: string, name: string, content: string | Uint8Array): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

/** A copy of a golden model to be damaged. */
export function copyGolden(name: string, folder: string): string {
  const target = join(folder, name);
  cpSync(join(goldensFolder, name), target, { recursive: true });
  return target;
}

/** Changes a JSON file's top-level keys; undefined removes one. */
export function editJson(file: string, changes: Record<string, unknown>): void {
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...changes }));
}

/** A safetensors file of any header, valid or not. */
export function rawSafetensors(header: string | object, dataBytes: number): Buffer {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(dataBytes)]);
}

/** The error that a call ends with; fails where there is none or it is not for people. */
export async function errorOf(call: () => unknown): Promise<LowrankError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof LowrankError) return error;
    throw error;
  }
  throw new Error("expected a LowrankError, but the call succeeded");
}

/** Rewrites a model folder's tensors, changed by `edit`, as one file or as one shard per group. */
export async function rewriteTensors(
  model: string,
  edit: (tensor: { name: string; dtype: string; shape: number[]; bytes: number; data: Uint8Array }) => object | null,
  shardOf?: (name: string) => string,
  more: TensorToWrite[] = [],
): Promise<void> {
  const file = join(model, "model.safetensors");
  const bytes = readFileSync(file);
  const old = readSafetensorsHeader(file).tensors.flatMap(({ name, dtype, shape, begin, end }) => {
    const tensor = { name, dtype, shape, bytes: end - begin, data: bytes.subarray(begin, end) };
    const edited = edit(tensor);
    return edited === null ? [] : [{ ...tensor, ...edited }];
  });
  const tensors = [...old, ...more];
  rmSync(file);
  if (!shardOf) return writeSafetensors(file, tensors, { format: "pt" });
  for (const shard of new Set(tensors.map(({ name }) => shardOf(name)))) {
    const group = tensors.filter(({ name }) => shardOf(name) === shard);
    await writeSafetensors(join(model, shard), group, { format: "pt" });
  }
  const weight_map = Object.fromEntries(tensors.map(({ name }) => [name, shardOf(name)]));
  writeIn(model, "model.safetensors.index.json", JSON.stringify({ metadata: { total_size: 1 }, weight_map }));
}
