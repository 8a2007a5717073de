#!/usr/bin/env node
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readArguments } from "./support/arguments.mjs";

readArguments({
  about:
    "Writes docs/options.md and docs/lowrank.schema.json from the table of options. Needs the build; a test holds them to it.",
});
const { jsonSchema, optionsDocument } = await import("../dist/config/index.js");

const docs = (name) => fileURLToPath(new URL(`../docs/${name}`, import.meta.url));
writeFileSync(docs("options.md"), optionsDocument());
writeFileSync(docs("lowrank.schema.json"), `${JSON.stringify(jsonSchema(), null, 2)}\n`);
