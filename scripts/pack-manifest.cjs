const fs = require("node:fs");
const path = require("node:path");
const { readArguments } = require("./support/arguments.mjs");

const file = path.join(__dirname, "..", "package.json");
const PREBUILT = "lowrank-linux-x64";

function change(optionalDependencies) {
  const manifest = JSON.parse(fs.readFileSync(file, "utf8"));
  const { [PREBUILT]: _, ...others } = manifest.optionalDependencies;
  manifest.optionalDependencies = { ...others, ...optionalDependencies(manifest.version) };
  const text = JSON.stringify(manifest, null, 2);
  fs.writeFileSync(file, `${text}\n`);
}
function add() {
  // While package.json agrees with package-lock.json.
  require("./prepare.cjs").installPackages();
  change((version) => ({ [PREBUILT]: version }));
}
const restore = () => change(() => ({}));

module.exports = { restore };
if (require.main === module) {
  const { positionals } = readArguments({
    about: `npm's prepack and postpack scripts. The packed package.json names the prebuilt addon's package as an optional dependency of the same
version. The repository's does not: package-lock.json would have to hold it before it is published, and npm ci fails where it does not.`,
    positional: { name: "add|restore", help: "before packing, and after it", required: true },
  });
  (positionals[0] === "restore" ? restore : add)();
}
