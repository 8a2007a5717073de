// Prints every native source, one a line: the inputs of binding.gyp's action.
const { readdirSync } = require("node:fs");
for (const f of readdirSync("native", { recursive: true })) {
  if (/\.(cpp|cu|cuh|h)$/.test(f)) console.log(`native/${f}`);
}
