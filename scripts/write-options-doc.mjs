#!/usr/bin/env node
// Writes docs/options.md from the table of options. Needs the build; a test holds the page against the table.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { optionsDocument } from "../dist/config/index.js";

writeFileSync(fileURLToPath(new URL("../docs/options.md", import.meta.url)), optionsDocument());
