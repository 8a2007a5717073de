// Every damaged input: the files of the corpus, then the mutator's, without end.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generator, mutate } from "./mutate.mjs";

export const CORPUS = fileURLToPath(new URL("corpus", import.meta.url));

/** The file of an input in the corpus. A kind may have a folder's name in it. */
export const fileName = (number, kind) => `${String(number).padStart(4, "0")}-${kind.replaceAll("/", "__")}`;

/** Inputs of a seed: kind after kind. */
export function* mutations(kinds, seed) {
  const all = Object.entries(kinds).map(([name, { kind, seed: right }]) => ({ name, kind, right: right() }));
  for (let i = 0; ; i++) {
    const { name, kind, right } = all[i % all.length];
    const number = seed * 1_000_000 + i;
    const { way, bytes } = mutate(right, kind, generator(number));
    yield { label: `seed ${number}, ${name}, ${way}`, name, bytes };
  }
}

function* stored() {
  for (const file of readdirSync(CORPUS).sort()) {
    const name = file.slice(5).replaceAll("__", "/");
    yield { label: `corpus/${file}`, name, bytes: readFileSync(join(CORPUS, file)) };
  }
}

/** @param kind only inputs of this kind, where it is given */
export function* inputs(kinds, seed, kind) {
  for (const input of stored()) if (kind === undefined || input.name === kind) yield input;
  yield* mutations(kind === undefined ? kinds : { [kind]: kinds[kind] }, seed);
}
