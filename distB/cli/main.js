#!/usr/bin/env node
import { createRequire } from "node:module";
// `import` opens the files of a whole graph of modules at once, and dozens lie side by side in some packages: more than a
// low limit of open files allows. `require` reads one after the other, and is no slower.
const require = createRequire(import.meta.url);
const { main } = require("./run.js");
process.exitCode = await main(process.argv.slice(2));
