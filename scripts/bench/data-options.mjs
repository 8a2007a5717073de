// Options that the benchmarks of data have in common.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fail } from "../support/arguments.mjs";
import { peerPython } from "./peer.mjs";

const shared = (path) => fileURLToPath(new URL(`../../../shared/${path}`, import.meta.url));

/** @param texts what becomes of the column, in words @param mb likewise @param length tokens, the default */
export const dataOptions = ({ texts, mb, unit, length }) => ({
  texts: {
    value: "FILE",
    default: shared("data/sotu-train.jsonl"),
    help: `JSON Lines with a column text${texts}`,
  },
  tokenizer: {
    value: "FOLDER",
    default: shared("models/smollm2-135m-instruct"),
    help: "its tokenizer.json",
  },
  mb: { kind: "number", least: 1, default: 10, help: mb },
  "max-length": { kind: "number", least: 2, default: length, help: `tokens to which longer ${unit} are cut` },
  pairs: { kind: "number", least: 1, default: 5, help: "runs of each" },
  threads: { kind: "number", least: 1, default: 2, help: "of both" },
  "peer-python": peerPython("datasets and transformers"),
  "no-peer": { kind: "flag", help: "lowrank alone" },
  json: { kind: "flag", help: "one JSON line last" },
});

/** Ends the program where a file is missing, or no peer is named. */
export function checkDataOptions(o, files) {
  for (const path of files) if (!existsSync(path)) fail(`${path} is not there`);
  if (!o["no-peer"] && !o["peer-python"]) fail("Name a Python with --peer-python, or give --no-peer.");
}
