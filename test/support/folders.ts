import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { LowrankError } from "../../src/errors.js";
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
