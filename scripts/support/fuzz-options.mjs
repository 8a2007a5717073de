/** Options of fuzz.mjs, and of the scripts that pass them on to it. */
export const FUZZ_OPTIONS = {
  cases: {
    kind: "number",
    help: "number of inputs; goes on until Ctrl-C where neither this nor --seconds is named",
  },
  seconds: { kind: "number", help: "number of seconds" },
  seed: { kind: "number", default: 1, help: "the first seed; the same seed damages the same way" },
  kind: { help: "inputs of this kind alone, such as config.json" },
  keep: { value: "FOLDER", help: "keeps the files that fail there" },
};
