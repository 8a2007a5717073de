const { readdirSync } = require("node:fs");
const { readArguments } = require("./support/arguments.mjs");

readArguments({ about: "Prints every native source, a line each: the inputs of binding.gyp's action." });
for (const f of readdirSync("native", { recursive: true })) {
  if (/\.(cpp|cu|cuh|h)$/.test(f)) console.log(`native/${f}`);
}
