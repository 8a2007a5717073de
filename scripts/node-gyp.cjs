// node-gyp with the headers beside the running node, so that it downloads nothing.
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const env = { ...process.env };
const prefix = path.resolve(process.execPath, "..", "..");
if (!env.npm_config_nodedir && fs.existsSync(path.join(prefix, "include", "node", "node_api.h"))) {
  env.npm_config_nodedir = prefix;
}
const bin = require.resolve("node-gyp/bin/node-gyp.js");
const r = spawnSync(process.execPath, [bin, ...process.argv.slice(2)], { stdio: "inherit", env });
process.exit(r.status ?? 1);
