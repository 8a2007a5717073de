const path = require("node:path");
const { version } = require("../package.json");
const { readArguments } = require("./support/arguments.mjs");

readArguments({
  about: `npm's install script: builds the addon where no prebuilt one fits this machine. Nothing depends on its having run: where it may
not, the loader (src/native/addon.ts) names the command that builds.`,
});

/** Whether the prebuilt addon of this version is installed and loads here. */
function hasPrebuilt() {
  const name = `lowrank-${process.platform}-${process.arch}`;
  try {
    const from = { paths: [path.join(__dirname, "..")] };
    if (require(require.resolve(`${name}/package.json`, from)).version !== version) return false;
    require(require.resolve(name, from));
    return true;
  } catch {
    return false;
  }
}

// Set by npm while it makes a package of a git repository: a build there is thrown away.
if (!process.env._PACOTE_NO_PREPARE_ && !hasPrebuilt()) require("./build-native.cjs");
