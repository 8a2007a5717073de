#!/usr/bin/env node
import { fail, readArguments } from "./support/arguments.mjs";
import { checkGlibc, NEWEST } from "./support/glibc.mjs";

const { positionals } = readArguments({
  about: `Whether addons load on every Linux with glibc ${NEWEST} and nothing else: no newer symbols, no other libraries. Needs objdump.`,
  positional: { name: "FILE...", help: "addons", required: true },
});
for (const file of positionals) {
  try {
    checkGlibc(file);
    console.log(`${file} needs nothing newer than glibc ${NEWEST}`);
  } catch (error) {
    fail(error.message);
  }
}
